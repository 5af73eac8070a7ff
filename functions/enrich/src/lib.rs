//! Loads the EPSS scores and the KEV catalogue once a day and keeps them as one object, which whoever reads
//! findings joins to them. No finding is written.
//!
//! The two halves are loaded apart: where one fails, the other one is stored all the same, what was known
//! of the failed one stays, and the function ends with an error that says which, from where and why.

mod download;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_blobs::BlobError;
use tatami_runtime::{IntelError, Services};
use tatami_threat_intel::{Catalogue, Intel, Scores, Warnings, read_epss, read_kev};

pub use download::Limits;

/// Why what is known is not what was published.
#[derive(Debug, thiserror::Error)]
pub enum EnrichError {
    /// What is stored cannot be read, so nothing is put in its place.
    #[error(transparent)]
    Stored(#[from] IntelError),
    /// It cannot be stored.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// It cannot be packed.
    #[error("the scores and the catalogue cannot be packed: {0}")]
    Pack(std::io::Error),
    /// One half or both could not be had. The other one is stored.
    #[error("{0}")]
    Halves(Halves),
}

/// The halves that could not be had, each with where it should come from and why it doesn't.
#[derive(Debug)]
pub struct Halves(pub Vec<String>);

impl fmt::Display for Halves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

/// Handles the daily schedule; nothing in the event matters. Answers with what is known by now.
pub async fn handle(services: &Services, _event: Value) -> Result<Value, EnrichError> {
    load(services, Limits::default()).await
}

/// The same within other limits.
pub async fn load(services: &Services, limits: Limits) -> Result<Value, EnrichError> {
    let (stored, damaged) = match services.reload_intel().await {
        Ok(stored) => (stored.unwrap_or_default(), false),
        Err(IntelError::Damaged(error)) => {
            tracing::error!(%error, "the stored object is damaged and is made anew");
            (Arc::default(), true)
        }
        Err(error) => return Err(error.into()),
    };
    let settings = &services.settings;
    let (epss, kev) = tokio::join!(
        download::read(settings.epss_url.clone(), limits, |file| read_epss(file)),
        download::read(settings.kev_url.clone(), limits, |file| read_kev(file)),
    );
    let mut next = Intel::clone(&stored);
    let mut failed = Vec::new();
    let known = stored.epss().map(State::of_scores);
    match following(epss, |new| State::of_scores(&new.scores), known) {
        Ok(Some(new)) => {
            tell("EPSS scores", &new.warnings);
            next = next.with_epss(new);
        }
        Ok(None) => next = next.without_epss(),
        Err(why) => failed.push(fault("EPSS scores", settings.epss_url.as_deref(), &why)),
    }
    let known = stored.kev().map(State::of_catalogue);
    match following(kev, |new| State::of_catalogue(&new.catalogue), known) {
        Ok(Some(new)) => {
            tell("KEV catalogue", &new.warnings);
            next = next.with_kev(new);
        }
        Ok(None) => next = next.without_kev(),
        Err(why) => failed.push(fault("KEV catalogue", settings.kev_url.as_deref(), &why)),
    }
    let changed = next != *stored || (damaged && next != Intel::default());
    if changed {
        let bytes = next.to_bytes().map_err(EnrichError::Pack)?;
        services.blobs.put_intel(bytes).await?;
        // what readers in this process have from now on is what is stored
        services.reload_intel().await?;
    }
    let answer = summary(&next, changed);
    tracing::info!(%answer, "EPSS scores and KEV catalogue");
    if failed.is_empty() {
        Ok(answer)
    } else {
        Err(EnrichError::Halves(Halves(failed)))
    }
}

/// How large a half is, and of when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    cves: usize,
    at: Option<Timestamp>,
}

impl State {
    fn of_scores(scores: &Scores) -> Self {
        Self {
            cves: scores.len(),
            at: scores.score_date(),
        }
    }

    fn of_catalogue(catalogue: &Catalogue) -> Self {
        Self {
            cves: catalogue.len(),
            at: catalogue.released(),
        }
    }

    /// Both files only grow, and by little: one that is much smaller, or older, is a fault of whoever sent
    /// it, and would take from findings what is known of them.
    fn may_follow(self, old: Option<Self>) -> Result<(), String> {
        let Some(old) = old else { return Ok(()) };
        if self.cves < old.cves.div_ceil(2) {
            return Err(format!(
                "it has {} CVEs, fewer than half of the {} that are known",
                self.cves, old.cves
            ));
        }
        if self.at < old.at {
            let of =
                |at: Option<Timestamp>| at.map_or_else(|| "no time".into(), |at| at.to_string());
            return Err(format!(
                "it is of {}, older than what is known, of {}",
                of(self.at),
                of(old.at)
            ));
        }
        Ok(())
    }
}

/// What was read, if it may take the place of what is known.
fn following<T>(
    read: Result<Option<T>, String>,
    state: impl Fn(&T) -> State,
    known: Option<State>,
) -> Result<Option<T>, String> {
    let Some(new) = read? else { return Ok(None) };
    state(&new).may_follow(known)?;
    Ok(Some(new))
}

fn fault(what: &str, url: Option<&str>, why: &str) -> String {
    format!(
        "the {what} from {}: {why}",
        download::shown(url.unwrap_or_default())
    )
}

fn tell(what: &str, warnings: &Warnings) {
    if !warnings.first.is_empty() {
        let first = warnings.first.join("; ");
        tracing::warn!(
            what,
            bad_rows = warnings.bad,
            first,
            "not all of a file could be used"
        );
    }
}

fn summary(intel: &Intel, changed: bool) -> Value {
    let epss = intel.epss().map(State::of_scores);
    let kev = intel.kev().map(State::of_catalogue);
    json!({
        "changed": changed,
        "epss_cves": epss.map(|state| state.cves),
        "epss_score_date": epss.and_then(|state| state.at),
        "kev_cves": kev.map(|state| state.cves),
        "kev_released": kev.and_then(|state| state.at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(cves: usize, second: Option<i64>) -> State {
        State {
            cves,
            at: second.map(|second| Timestamp::from_second(second).unwrap()),
        }
    }

    #[test]
    fn a_file_that_is_much_smaller_or_older_does_not_follow() {
        let old = Some(state(9, Some(100)));
        for (cves, second) in [(5, Some(100)), (9, Some(101)), (20, Some(100))] {
            assert_eq!(state(cves, second).may_follow(old), Ok(()));
        }
        let smaller = state(4, Some(101)).may_follow(old).unwrap_err();
        assert!(
            smaller.contains("4 CVEs, fewer than half of the 9"),
            "{smaller}"
        );
        let older = state(9, Some(99)).may_follow(old).unwrap_err();
        assert!(older.contains("older than what is known"), "{older}");
        let undated = state(9, None).may_follow(old).unwrap_err();
        assert!(undated.contains("of no time"), "{undated}");
        assert_eq!(state(1, None).may_follow(None), Ok(()));
        assert_eq!(state(9, Some(1)).may_follow(Some(state(9, None))), Ok(()));
    }
}
