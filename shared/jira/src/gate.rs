use std::time::{Duration, Instant};

use jiff::Timestamp;
use tatami_domain::{Event, EventData, JiraChange, JiraInstance, JiraInstanceId, JiraUpdate};
use tatami_jira_client::{Auth, JiraError, Transport, TransportError};
use tatami_outbound::{Limits, Outbound};
use tatami_runtime::Services;
use tatami_store::{JiraState, Lease, Store, StoreError};

/// So many calls of one JIRA are under way at once.
const SLOTS: u32 = 2;
/// So long a call may have its slot; longer than any call takes.
const SLOT_S: u32 = 120;
/// So long a call waits for a slot.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause where JIRA doesn't say how long.
const PAUSE: Duration = Duration::from_mins(1);
/// The longest pause that is believed.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// What an answer may have; lists of a hundred issues, and fields with many values, are large.
const MAX_BYTES: u64 = 16 << 20;

/// Carries the calls of one JIRA, and none while that wants to be left alone.
#[derive(Debug, Clone)]
pub struct Gate {
    outbound: Outbound,
    store: Store,
    instance: JiraInstanceId,
    name: String,
    auth: Auth,
    past: bool,
}

impl Gate {
    pub(crate) fn new(services: &Services, instance: &JiraInstance, auth: Auth) -> Self {
        let name = instance.configuration_name.as_deref();
        Self {
            outbound: services.outbound.clone(),
            store: services.store.clone(),
            instance: instance.id,
            name: name
                .filter(|name| !name.is_empty())
                .map_or_else(|| format!("instance {}", instance.id), ToOwned::to_owned),
            auth,
            past: false,
        }
    }

    /// The same, whatever the circuit says.
    pub(crate) fn past_the_circuit(mut self) -> Self {
        self.past = true;
        self
    }

    pub(crate) fn auth(&self) -> &Auth {
        &self.auth
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.store.now()
    }

    pub(crate) async fn state(&self) -> Result<JiraState, StoreError> {
        self.store.jira_state(self.instance).await
    }

    pub(crate) async fn change(&self, change: impl Fn(&mut JiraState)) -> Result<(), StoreError> {
        self.store.change_jira_state(self.instance, change).await
    }

    async fn admit(&self) -> Result<(), TransportError> {
        let state = self.state().await.map_err(|error| lost(&error))?;
        match state {
            JiraState {
                refused: Some((_, why)),
                ..
            } if !self.past => Err(TransportError {
                message: format!("it is left alone since it doesn't let us in: {why}"),
                passing: false,
            }),
            JiraState {
                paused_until: Some(until),
                ..
            } if until > self.now() => Err(TransportError {
                message: format!("it asked to be left alone until {until:.0}"),
                passing: true,
            }),
            _ => Ok(()),
        }
    }

    async fn slot(&self) -> Result<Lease, TransportError> {
        let begin = Instant::now();
        let mut wait = 20;
        loop {
            let first: u32 = rand::random_range(0..SLOTS);
            for n in 0..SLOTS {
                let name = format!("jira/{}/{}", self.instance, (first + n) % SLOTS);
                if let Some(lease) = self
                    .store
                    .lease(&name, SLOT_S)
                    .await
                    .map_err(|error| lost(&error))?
                {
                    return Ok(lease);
                }
            }
            if begin.elapsed() > PATIENCE {
                return Err(TransportError {
                    message: "other calls of it take all the time there is".into(),
                    passing: true,
                });
            }
            tokio::time::sleep(Duration::from_millis(rand::random_range(wait / 2..=wait))).await;
            wait = (wait * 2).min(500);
        }
    }

    /// Notes what an answer says beyond the request that it answers.
    async fn heed(&self, path: &str, answer: &http::Response<Vec<u8>>) -> Result<(), StoreError> {
        // links and properties need rights of their own, and issues do without them
        let beside = path.ends_with("/remotelink") || path.contains("/properties/");
        let beside = beside && answer.status() == http::StatusCode::FORBIDDEN;
        let refusal = JiraError::refusal(answer, &self.auth);
        if let Some(why) = refusal.filter(|_| !beside) {
            return self.shut(&why).await;
        }
        if let Some(pause) = JiraError::pause(answer, PAUSE) {
            let pause = pause.min(LONGEST_PAUSE);
            let until = self.now() + pause;
            self.change(move |state| state.paused_until = state.paused_until.max(Some(until)))
                .await?;
        }
        Ok(())
    }

    /// Opens the circuit, and tells of it once.
    async fn shut(&self, why: &str) -> Result<(), StoreError> {
        let now = self.now();
        self.change(|state| {
            if state.refused.is_none() {
                state.refused = Some((now, why.to_owned()));
            }
            state.tried = Some(now);
        })
        .await?;
        let Some((since, why)) = self.state().await?.refused else {
            return Ok(()); // somebody has changed the settings meanwhile
        };
        tracing::warn!(instance = %self.instance, why, "JIRA doesn't let us in");
        let data = EventData::JiraUpdate(JiraUpdate {
            what: JiraChange::Failed,
            title: format!("JIRA {}", self.name),
            text: format!("{why}. Nothing is sent there until that is mended."),
            ..JiraUpdate::default()
        });
        let occasion = format!("instance-{}-{}", self.instance, since.as_second());
        let event = Event::new(&data, self.instance, occasion, None, since);
        self.store.tell(&event).await.map(drop)
    }
}

impl Transport for Gate {
    async fn send(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> Result<http::Response<Vec<u8>>, TransportError> {
        self.admit().await?;
        let slot = self.slot().await?;
        let limits = Limits {
            bytes: MAX_BYTES,
            // credentials go with every request: where it leads is for people to see
            redirects: 0,
            ..Limits::default()
        };
        let path = request.uri().path().to_owned();
        let answer = self.outbound.send(request, limits).await;
        if let Err(error) = self.store.release(slot).await {
            tracing::warn!(%error, "a slot is free only when its time is over");
        }
        let answer = answer.map_err(|error| TransportError {
            passing: error.is_passing(),
            message: error.to_string(),
        })?;
        self.heed(&path, &answer)
            .await
            .map_err(|error| lost(&error))?;
        Ok(answer)
    }
}

/// An error of the store on the way to JIRA.
fn lost(error: &StoreError) -> TransportError {
    TransportError {
        message: format!("its state cannot be read or written: {error}"),
        passing: true,
    }
}

pub(crate) fn broken(error: StoreError) -> JiraError {
    JiraError::Transport(lost(&error))
}
