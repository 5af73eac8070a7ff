//! Connections to the JIRAs that people configured: the client of `tatami-jira-client` over the guarded calls of
//! `tatami-outbound`.
//!
//! Every call goes through a gate that all processes share by the store: a JIRA that doesn't let us in is left
//! alone until somebody changes its settings or a [`Connection::probe`] succeeds (the *circuit*), one that asks to
//! be left alone for a while is, and no more than two calls are under way at once.

mod check;
mod error;
mod gate;

use tatami_domain::JiraInstance;
use tatami_jira_client::{Auth, Deployment, Jira, JiraError, User, detect};
use tatami_runtime::Services;
use tatami_store::{Entity as _, JiraState, StoreError};

pub use check::{Check, check};
pub use error::{ConnectError, Trouble};
pub use gate::Gate;

/// A JIRA that can be called.
#[derive(Debug)]
pub struct Connection {
    /// Its requests. They fail without a call while the gate is closed.
    pub jira: Jira<Gate>,
    /// How it was configured.
    pub instance: JiraInstance,
    gate: Gate,
}

/// Connects to a JIRA: reads its password, and finds out which kind it is where nobody said and nobody has
/// found out before.
pub async fn connect(
    services: &Services,
    instance: &JiraInstance,
) -> Result<Connection, ConnectError> {
    let auth = auth(services, instance)?;
    // as the guard will read it
    let url = services.outbound.uri(instance.url.trim())?.to_string();
    let gate = Gate::new(services, instance, auth.clone());
    let deployment = match instance.deployment.as_deref() {
        Some("cloud") => Deployment::Cloud,
        Some("data_center") => Deployment::DataCenter,
        _ => found_out(services, instance, &url, &auth, &gate).await?,
    };
    Ok(Connection {
        jira: Jira::new(&url, deployment, auth, gate.clone())?,
        instance: instance.clone(),
        gate,
    })
}

fn auth(services: &Services, instance: &JiraInstance) -> Result<Auth, ConnectError> {
    let encrypted = instance.password.as_deref().filter(|text| !text.is_empty());
    let encrypted = encrypted.ok_or(ConnectError::NoPassword)?;
    let purpose = format!("{}.password", JiraInstance::KIND);
    let secret = services.secret_key()?.decrypt(&purpose, encrypted)?;
    Ok(match instance.authentication.as_deref() {
        Some("bearer") => Auth::Bearer(secret),
        _ if instance.username.is_empty() => Auth::Bearer(secret),
        _ => Auth::Basic {
            user: instance.username.clone(),
            secret,
        },
    })
}

async fn found_out(
    services: &Services,
    instance: &JiraInstance,
    url: &str,
    auth: &Auth,
    gate: &Gate,
) -> Result<Deployment, ConnectError> {
    let known = services.store.jira_state(instance.id).await?.deployment;
    if let Some((_, kind)) = known.filter(|(known, _)| known == url) {
        return Ok(match kind.as_str() {
            "cloud" => Deployment::Cloud,
            _ => Deployment::DataCenter,
        });
    }
    let found = detect(url, auth.clone(), gate.clone()).await?;
    let name = match found {
        Deployment::Cloud => "cloud",
        Deployment::DataCenter => "data_center",
    };
    let note = |state: &mut JiraState| state.deployment = Some((url.to_owned(), name.to_owned()));
    services.store.change_jira_state(instance.id, note).await?;
    Ok(found)
}

impl Connection {
    /// Asks who we are there, also while the circuit is open, and closes it where JIRA answers.
    pub async fn probe(&self) -> Result<User, JiraError> {
        let jira = Jira::new(
            self.jira.base_url(),
            self.jira.deployment(),
            self.gate.auth().clone(),
            self.gate.clone().past_the_circuit(),
        )?;
        let user = jira.myself().await?;
        let account = account(&user);
        let closed = self.gate.change(move |state| {
            state.refused = None;
            state.tried = None;
            state.account.clone_from(&account);
        });
        closed.await.map_err(|error| gate::broken(&error))?;
        Ok(user)
    }

    /// Who we are there: JIRA's id of the account, asked for once.
    pub async fn account(&self) -> Result<Option<String>, JiraError> {
        let known = self
            .gate
            .state()
            .await
            .map_err(|error| gate::broken(&error))?
            .account;
        if known.is_some() {
            return Ok(known);
        }
        let account = account(&self.jira.myself().await?);
        let kept = account.clone();
        let note = self
            .gate
            .change(move |state| state.account.clone_from(&kept));
        note.await.map_err(|error| gate::broken(&error))?;
        Ok(account)
    }

    /// What is to be done about an error of a call.
    pub async fn trouble(&self, error: JiraError) -> Result<Trouble, StoreError> {
        let state = self.gate.state().await?;
        Ok(Trouble::of(error, &state, self.gate.now()))
    }
}

/// What tells an account from others.
pub fn account(user: &User) -> Option<String> {
    let ids = [&user.account_id, &user.key, &user.name];
    ids.into_iter().flatten().next().cloned()
}

/// Is this user that account?
pub fn is_account(user: &User, account: &str) -> bool {
    let ids = [&user.account_id, &user.key, &user.name];
    ids.into_iter().flatten().any(|id| id == account)
}
