use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use crate::{
    AttachmentId, EngagementId, Finding, Flags, JobId, ProductId, RiskAcceptanceId, UserId,
};

/// What is done about a risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Treatment {
    /// It is known, and remains.
    #[default]
    #[serde(rename = "A")]
    Accept,
    /// What makes it is left alone.
    #[serde(rename = "V")]
    Avoid,
    /// It remains, and other means make it less of a threat.
    #[serde(rename = "M")]
    Mitigate,
    /// It goes.
    #[serde(rename = "F")]
    Fix,
    /// Somebody else takes it over.
    #[serde(rename = "T")]
    Transfer,
}

impl Treatment {
    /// Their letters in the REST API.
    pub const LETTERS: &'static [&'static str] = &["A", "V", "M", "F", "T"];

    /// Its name in tables that people read.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accept => "Accept",
            Self::Avoid => "Avoid",
            Self::Mitigate => "Mitigate",
            Self::Fix => "Fix",
            Self::Transfer => "Transfer",
        }
    }
}

/// That somebody accepts a risk, why, and until when.
///
/// It lists no findings: each finding says under which acceptance it is, also after that has expired, so that
/// it can be reinstated. Whether the finding's risk is accepted now, its flag tells.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are the REST API's")]
pub struct RiskAcceptance {
    /// Part of the key, not of the document.
    #[serde(skip)]
    pub id: RiskAcceptanceId,
    /// All its findings are of this product.
    pub product: ProductId,
    /// The engagement that all its findings are in, where that is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engagement: Option<EngagementId>,
    pub name: String,
    pub recommendation: Treatment,
    pub recommendation_details: Option<String>,
    pub decision: Treatment,
    /// Why.
    pub decision_details: Option<String>,
    pub accepted_by: Option<String>,
    pub decision_date: Date,
    /// The agreed end; none: never. It stays as it was agreed when the acceptance has expired.
    pub expiration_date: Option<Timestamp>,
    pub expiration_date_warned: Option<Timestamp>,
    pub expiration_date_handled: Option<Timestamp>,
    /// When it did expire: at its date, or earlier by hand.
    pub expired_at: Option<Timestamp>,
    pub reactivate_expired: bool,
    pub restart_sla_expired: bool,
    pub owner: UserId,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// When it was removed; it is kept for the history.
    pub removed: Option<Timestamp>,
    /// The file that proves it.
    pub proof: Option<AttachmentId>,
    /// Are there notes of it?
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub annotated: bool,
    /// What its end has to do with findings yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// What happened to it, oldest first.
    pub history: Vec<AcceptanceEntry>,
}

/// An end that has begun: nothing comes under the acceptance any more, and a job takes its findings out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The job; it has its id before it is made.
    pub job: JobId,
    /// When it began.
    pub at: Timestamp,
    /// By whom; nobody: by the daily run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    /// Was it removed? Else it expires.
    pub removes: bool,
}

/// What can happen to an acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AcceptanceEvent {
    /// It was made.
    Created,
    /// Some of its fields were changed.
    Changed,
    /// Findings came under it.
    FindingsAdded,
    /// Findings were taken out of it.
    FindingsRemoved,
    /// A proof was put to it.
    ProofAdded,
    /// It was said that it expires soon.
    Warned,
    /// It expired.
    Expired,
    /// It counts again.
    Reinstated,
    /// It was removed.
    Removed,
}

impl AcceptanceEvent {
    /// Their names in the REST API.
    pub const NAMES: &'static [&'static str] = &[
        "created",
        "changed",
        "findings_added",
        "findings_removed",
        "proof_added",
        "warned",
        "expired",
        "reinstated",
        "removed",
    ];
}

/// Something that happened to an acceptance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptanceEntry {
    /// When.
    pub time: Timestamp,
    /// What.
    pub event: AcceptanceEvent,
    /// By whom; nobody: by the daily run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    /// What else there is to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
}

/// How an acceptance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AcceptanceState {
    /// It counts.
    Active,
    /// It is over.
    Expired,
    /// Somebody removed it.
    Removed,
}

impl AcceptanceState {
    /// Their names in the REST API.
    pub const NAMES: &'static [&'static str] = &["active", "expired", "removed"];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// What of an acceptance cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AcceptanceError {
    /// Its end lies in the past.
    #[error("the expiration date lies in the past: an acceptance holds from now on")]
    PastExpiration,
    /// It has ended.
    #[error("risk acceptance {0} has expired: reinstate it first")]
    Expired(RiskAcceptanceId),
    /// It was removed.
    #[error("risk acceptance {0} was removed")]
    Removed(RiskAcceptanceId),
    /// It holds.
    #[error("risk acceptance {0} has not expired")]
    NotExpired(RiskAcceptanceId),
    /// What its end does to findings isn't through.
    #[error("risk acceptance {0} is being ended: try again when that is done")]
    Ending(RiskAcceptanceId),
}

impl RiskAcceptance {
    /// The longest name, in characters.
    pub const MAX_NAME: usize = 300;
    /// The longest name of who accepts, in characters.
    pub const MAX_ACCEPTED_BY: usize = 200;
    /// The longest explanation, in characters.
    pub const MAX_DETAILS: usize = 20_000;
    /// How many days one holds where nobody says.
    pub const DAYS: u32 = 180;
    /// How many days before its end it's said that it ends, where nobody says.
    pub const WARNING_DAYS: u32 = 10;
    /// So many entries of its history are kept, and the first one.
    pub const MAX_HISTORY: usize = 200;

    /// One that begins now, for so many days (none: for ever).
    pub fn new(owner: UserId, days: Option<u32>, now: Timestamp) -> Self {
        Self {
            recommendation: Treatment::Fix,
            decision_date: now.to_zoned(TimeZone::UTC).date(),
            expiration_date: days.and_then(|days| Self::in_days(days, now)),
            reactivate_expired: true,
            owner,
            created: now,
            updated: now,
            ..Self::default()
        }
    }

    /// The start of the day so many days from now.
    pub fn in_days(days: u32, now: Timestamp) -> Option<Timestamp> {
        let today = now.to_zoned(TimeZone::UTC).date();
        let day = today.checked_add(i64::from(days).days()).ok()?;
        Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
    }

    /// How it stands. One whose date has come counts until its end has begun.
    pub fn state(&self) -> AcceptanceState {
        match (self.removed, self.expiration_date_handled, &self.ending) {
            (Some(_), _, _) => AcceptanceState::Removed,
            (None, None, None) => AcceptanceState::Active,
            (None, _, _) => AcceptanceState::Expired,
        }
    }

    /// May findings come under it?
    pub fn takes_findings(&self) -> Result<(), AcceptanceError> {
        match self.state() {
            AcceptanceState::Active => Ok(()),
            AcceptanceState::Expired => Err(AcceptanceError::Expired(self.id)),
            AcceptanceState::Removed => Err(AcceptanceError::Removed(self.id)),
        }
    }

    /// Has its date come, and has nothing followed from it yet?
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.state() == AcceptanceState::Active
            && self.expiration_date.is_some_and(|date| date <= now)
    }

    /// Is it time to say that it ends within so many days, and has nobody said so?
    pub fn wants_warning(&self, days: u32, now: Timestamp) -> bool {
        let soon = SignedDuration::from_hours(i64::from(days) * 24);
        self.state() == AcceptanceState::Active
            && self.expiration_date_warned.is_none()
            && (self.expiration_date)
                .is_some_and(|date| date > now && date.duration_since(now) <= soon)
    }

    /// Does it end within so many days?
    pub fn ends_within(&self, days: u32, now: Timestamp) -> bool {
        let soon = SignedDuration::from_hours(i64::from(days) * 24);
        self.state() == AcceptanceState::Active
            && (self.expiration_date).is_some_and(|date| date.duration_since(now) <= soon)
    }

    /// Gives it another end. One that lies in the past is refused, and so is any for one that has ended.
    pub fn set_expiration(
        &mut self,
        date: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), AcceptanceError> {
        if date == self.expiration_date {
            return Ok(());
        }
        self.takes_findings()?;
        if date.is_some_and(|date| date <= now) {
            return Err(AcceptanceError::PastExpiration);
        }
        self.expiration_date = date;
        self.expiration_date_warned = None;
        Ok(())
    }

    /// Notes something that happened.
    pub fn note(
        &mut self,
        event: AcceptanceEvent,
        by: Option<UserId>,
        now: Timestamp,
        details: impl Into<String>,
    ) {
        if self.history.len() > Self::MAX_HISTORY {
            // how it began is always told
            self.history.remove(1);
        }
        self.history.push(AcceptanceEntry {
            time: now,
            event,
            by,
            details: details.into(),
        });
    }

    /// Begins its end: it expires, or is removed. Who comes second is told.
    pub fn begin_end(&mut self, end: Ending) -> Result<(), AcceptanceError> {
        if self.ending.is_some() {
            return Err(AcceptanceError::Ending(self.id));
        }
        if end.removes {
            if self.removed.is_some() {
                return Err(AcceptanceError::Removed(self.id));
            }
            self.removed = Some(end.at);
            self.note(AcceptanceEvent::Removed, end.by, end.at, "");
        } else {
            self.takes_findings()?;
        }
        self.updated = end.at;
        self.ending = Some(end);
        Ok(())
    }

    /// Ends what a job did for its end. Says whether there was anything to end.
    pub fn end(&mut self, job: JobId) -> Option<Ending> {
        let ending = self.ending.filter(|ending| ending.job == job)?;
        self.ending = None;
        if !ending.removes {
            self.expiration_date_handled = Some(ending.at);
            self.expired_at = Some(ending.at);
            self.updated = ending.at;
            self.note(AcceptanceEvent::Expired, ending.by, ending.at, "");
        }
        Some(ending)
    }

    /// Lets it count again until a date.
    pub fn reinstate(
        &mut self,
        date: Option<Timestamp>,
        by: Option<UserId>,
        now: Timestamp,
    ) -> Result<(), AcceptanceError> {
        self.may_be_reinstated()?;
        if date.is_some_and(|date| date <= now) {
            return Err(AcceptanceError::PastExpiration);
        }
        self.expiration_date = date;
        self.expiration_date_warned = None;
        self.expiration_date_handled = None;
        self.expired_at = None;
        self.updated = now;
        let until = date.map_or_else(|| "without an end".into(), |date| format!("until {date}"));
        self.note(AcceptanceEvent::Reinstated, by, now, until);
        Ok(())
    }

    /// Has it ended, and is its end through?
    pub fn may_be_reinstated(&self) -> Result<(), AcceptanceError> {
        if self.removed.is_some() {
            return Err(AcceptanceError::Removed(self.id));
        }
        if self.ending.is_some() {
            return Err(AcceptanceError::Ending(self.id));
        }
        if self.expiration_date_handled.is_none() {
            return Err(AcceptanceError::NotExpired(self.id));
        }
        Ok(())
    }
}

/// What becomes of a finding's place under an acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AcceptanceChange {
    /// It comes under one.
    Accept(RiskAcceptanceId),
    /// It is taken out of one.
    Leave(RiskAcceptanceId),
    /// The one that it is under expires.
    Expire {
        /// Which.
        id: RiskAcceptanceId,
        /// Does the finding become active?
        reactivate: bool,
        /// Does its SLA start anew?
        restart_sla: bool,
        /// The day of the end.
        today: Date,
    },
    /// The one that it is under counts again.
    Reinstate(RiskAcceptanceId),
}

/// Why a finding doesn't come under an acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// What becomes of it, its original decides.
    #[error("it is a duplicate: accept the risk of its original")]
    Duplicate,
    /// It is under another one.
    #[error("its risk is accepted already, by risk acceptance {0}")]
    Already(RiskAcceptanceId),
}

impl AcceptanceChange {
    /// The acceptance that it is about.
    pub const fn id(self) -> RiskAcceptanceId {
        match self {
            Self::Accept(id) | Self::Leave(id) | Self::Reinstate(id) | Self::Expire { id, .. } => {
                id
            }
        }
    }

    /// Does it bring findings under the acceptance, so that this has to hold?
    pub const fn accepts(self) -> bool {
        matches!(self, Self::Accept(_) | Self::Reinstate(_))
    }

    /// The note that it leaves on a finding that it changes.
    pub fn note(self, name: &str) -> String {
        let id = self.id();
        match self {
            Self::Accept(_) => format!("Risk accepted: risk acceptance {id}, \"{name}\"."),
            Self::Leave(_) => format!("Taken out of risk acceptance {id}, \"{name}\"."),
            Self::Expire { .. } => format!("Risk acceptance {id}, \"{name}\", has expired."),
            Self::Reinstate(_) => format!("Risk acceptance {id}, \"{name}\", counts again."),
        }
    }

    /// Changes a finding. What it is about already stays as it is, so that it may come twice.
    pub fn apply(
        self,
        finding: &mut Finding,
        by: Option<UserId>,
        now: Timestamp,
    ) -> Result<(), NotAccepted> {
        let flags = finding.flags;
        let under = finding.acceptance == Some(self.id());
        match self {
            Self::Accept(id) => {
                if under && flags.risk_accepted {
                    return Ok(());
                }
                if flags.duplicate {
                    return Err(NotAccepted::Duplicate);
                }
                if let Some(other) = finding.acceptance.filter(|_| flags.risk_accepted) {
                    return Err(NotAccepted::Already(other));
                }
                accept(finding, id, by, now);
            }
            Self::Leave(_) if under => {
                if flags.risk_accepted {
                    finding.set_flags(no_longer_accepted(flags), by, now);
                }
                finding.acceptance = None;
            }
            Self::Expire {
                id,
                reactivate: true,
                restart_sla,
                today,
            } if under && flags.risk_accepted => {
                let next = no_longer_accepted(flags);
                finding.set_flags(next, by, now);
                // it stays under it, so that it can be reinstated
                finding.acceptance = Some(id);
                if restart_sla && next.active {
                    finding.sla_start_date = Some(today);
                }
            }
            Self::Reinstate(id)
                if under && flags.active && !flags.risk_accepted && !flags.duplicate =>
            {
                accept(finding, id, by, now);
            }
            Self::Leave(_) | Self::Expire { .. } | Self::Reinstate(_) => {}
        }
        Ok(())
    }
}

fn accept(finding: &mut Finding, id: RiskAcceptanceId, by: Option<UserId>, now: Timestamp) {
    let accepted = Flags {
        active: false,
        risk_accepted: true,
        ..finding.flags
    };
    finding.set_flags(accepted, by, now);
    finding.acceptance = Some(id);
}

/// Open again, unless something else closes it.
const fn no_longer_accepted(flags: Flags) -> Flags {
    Flags {
        risk_accepted: false,
        active: !(flags.is_mitigated || flags.false_p || flags.out_of_scope || flags.duplicate),
        ..flags
    }
}

/// How many findings are accepted and how many open, by severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct AcceptedAndOpen {
    /// The risk is accepted.
    pub accepted: u64,
    /// They are active, and no duplicates.
    pub open: u64,
}

impl AcceptedAndOpen {
    /// Counts a finding into its severity.
    pub fn add(by_severity: &mut BTreeMap<crate::Severity, Self>, finding: &Finding) {
        let flags = finding.flags;
        let counts = by_severity.entry(finding.severity).or_default();
        if flags.risk_accepted && !flags.duplicate {
            counts.accepted += 1;
        } else if flags.is_open() {
            counts.open += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::FindingId;

    const ID: RiskAcceptanceId = RiskAcceptanceId(7);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn acceptance() -> RiskAcceptance {
        RiskAcceptance {
            id: ID,
            ..RiskAcceptance::new(UserId(1), Some(180), at("2026-01-01T15:00:00Z"))
        }
    }

    fn finding(flags: Flags) -> Finding {
        Finding {
            id: FindingId(1),
            flags,
            ..Finding::default()
        }
    }

    fn applied(change: AcceptanceChange, old: &Finding) -> Finding {
        let mut new = old.clone();
        change
            .apply(&mut new, None, at("2026-02-01T00:00:00Z"))
            .unwrap();
        let mut again = new.clone();
        change
            .apply(&mut again, None, at("2026-02-02T00:00:00Z"))
            .unwrap();
        assert_eq!(again, new, "the second time changes nothing: {change:?}");
        new
    }

    fn expire(reactivate: bool, restart_sla: bool) -> AcceptanceChange {
        AcceptanceChange::Expire {
            id: ID,
            reactivate,
            restart_sla,
            today: date(2026, 2, 1),
        }
    }

    #[test]
    fn one_holds_half_a_year_where_nobody_says_otherwise() {
        let own = acceptance();
        assert_eq!(own.expiration_date, Some(at("2026-06-30T00:00:00Z")));
        assert_eq!(own.decision_date, date(2026, 1, 1));
        assert!(own.reactivate_expired && !own.restart_sla_expired);
        assert_eq!(
            RiskAcceptance::new(UserId(1), None, Timestamp::now()).expiration_date,
            None
        );
    }

    #[test]
    fn it_is_due_at_its_date_and_warned_of_once_before() {
        let mut own = acceptance();
        assert!(!own.is_due(at("2026-06-29T23:59:59Z")) && own.is_due(at("2026-06-30T00:00:00Z")));
        let warns = |own: &RiskAcceptance, time| own.wants_warning(10, at(time));
        assert!(!warns(&own, "2026-06-19T23:59:59Z") && warns(&own, "2026-06-20T00:00:00Z"));
        assert!(!warns(&own, "2026-06-30T00:00:00Z"), "it's over");
        own.expiration_date_warned = Some(at("2026-06-21T00:00:00Z"));
        assert!(!warns(&own, "2026-06-22T00:00:00Z"));
        own.set_expiration(Some(at("2026-06-29T00:00:00Z")), at("2026-06-22T00:00:00Z"))
            .unwrap();
        assert!(warns(&own, "2026-06-22T00:00:00Z"), "it's another date");
        own.set_expiration(None, at("2026-06-22T00:00:00Z"))
            .unwrap();
        assert!(!own.is_due(at("2030-01-01T00:00:00Z")) && !warns(&own, "2026-06-29T00:00:00Z"));
    }

    #[test]
    fn an_end_in_the_past_is_refused_unless_it_was_there_before() {
        let mut own = acceptance();
        let now = at("2026-07-01T00:00:00Z");
        let past = own.set_expiration(Some(at("2026-06-30T10:00:00Z")), now);
        assert_eq!(past, Err(AcceptanceError::PastExpiration));
        own.set_expiration(own.expiration_date, now).unwrap();
    }

    #[test]
    fn an_end_begins_once_and_ends_once() {
        let mut own = acceptance();
        let now = at("2026-07-01T00:00:00Z");
        let end = Ending {
            job: JobId(3),
            at: now,
            by: None,
            removes: false,
        };
        own.begin_end(end).unwrap();
        assert_eq!(own.begin_end(end), Err(AcceptanceError::Ending(ID)));
        assert_eq!(own.state(), AcceptanceState::Expired);
        assert!(own.takes_findings().is_err() && !own.is_due(now));
        assert!(own.reinstate(None, None, now).is_err(), "not while it ends");
        assert_eq!(own.end(JobId(4)), None, "another job's");
        assert_eq!(own.end(JobId(3)), Some(end));
        assert_eq!(own.end(JobId(3)), None);
        assert_eq!(
            (own.expired_at, own.expiration_date_handled),
            (Some(now), Some(now))
        );
        assert_eq!(
            own.expiration_date,
            Some(at("2026-06-30T00:00:00Z")),
            "as agreed"
        );
        assert!(own.begin_end(end).is_err(), "it has expired");
        own.reinstate(Some(at("2026-08-01T00:00:00Z")), None, now)
            .unwrap();
        assert_eq!(own.state(), AcceptanceState::Active);
        assert_eq!(own.expired_at, None);
        let removal = Ending {
            removes: true,
            ..end
        };
        own.begin_end(removal).unwrap();
        assert_eq!(own.end(JobId(3)), Some(removal));
        assert_eq!(own.state(), AcceptanceState::Removed);
        assert!(own.begin_end(removal).is_err() && own.reinstate(None, None, now).is_err());
        let told: Vec<_> = own.history.iter().map(|entry| entry.event).collect();
        assert_eq!(
            told,
            [
                AcceptanceEvent::Expired,
                AcceptanceEvent::Reinstated,
                AcceptanceEvent::Removed
            ]
        );
    }

    #[test]
    fn the_history_keeps_its_beginning_and_what_came_last() {
        let mut own = acceptance();
        let now = at("2026-07-01T00:00:00Z");
        own.note(AcceptanceEvent::Created, None, now, "");
        for n in 0..500 {
            own.note(AcceptanceEvent::Changed, None, now, n.to_string());
        }
        assert_eq!(own.history.len(), RiskAcceptance::MAX_HISTORY + 1);
        assert_eq!(own.history[0].event, AcceptanceEvent::Created);
        assert_eq!(own.history[200].details, "499");
    }

    #[test]
    fn an_open_finding_is_accepted_and_comes_back_when_it_leaves() {
        let open = finding(Flags::OPEN);
        let accepted = applied(AcceptanceChange::Accept(ID), &open);
        assert!(accepted.flags.risk_accepted && !accepted.flags.active);
        assert_eq!(accepted.acceptance, Some(ID));
        let other = AcceptanceChange::Leave(RiskAcceptanceId(8));
        assert_eq!(
            applied(other, &accepted),
            accepted,
            "it isn't under that one"
        );
        let left = applied(AcceptanceChange::Leave(ID), &accepted);
        assert_eq!((left.flags, left.acceptance), (Flags::OPEN, None));
    }

    #[test]
    fn duplicates_and_what_is_accepted_already_are_refused() {
        let mut new = finding(Flags {
            duplicate: true,
            active: false,
            ..Flags::OPEN
        });
        let now = Timestamp::now();
        let refused = AcceptanceChange::Accept(ID).apply(&mut new, None, now);
        assert_eq!(refused, Err(NotAccepted::Duplicate));
        let mut new = applied(AcceptanceChange::Accept(ID), &finding(Flags::OPEN));
        let other = AcceptanceChange::Accept(RiskAcceptanceId(8));
        assert_eq!(
            other.apply(&mut new, None, now),
            Err(NotAccepted::Already(ID))
        );
        // a single flag gives way to the acceptance
        let simple = finding(Flags {
            risk_accepted: true,
            active: false,
            ..Flags::OPEN
        });
        assert_eq!(
            applied(other, &simple).acceptance,
            Some(RiskAcceptanceId(8))
        );
        // and so does one that has expired
        let expired = applied(expire(true, false), &new);
        assert_eq!(
            applied(other, &expired).acceptance,
            Some(RiskAcceptanceId(8))
        );
    }

    #[test]
    fn what_expires_is_open_again_and_can_be_reinstated() {
        let accepted = applied(AcceptanceChange::Accept(ID), &finding(Flags::OPEN));
        let expired = applied(expire(true, true), &accepted);
        assert_eq!(expired.flags, Flags::OPEN);
        assert_eq!(expired.acceptance, Some(ID));
        assert_eq!(expired.sla_start_date, Some(date(2026, 2, 1)));
        assert_eq!(applied(expire(true, false), &accepted).sla_start_date, None);
        assert_eq!(applied(expire(false, true), &accepted), accepted);
        let again = applied(AcceptanceChange::Reinstate(ID), &expired);
        assert!(again.flags.risk_accepted && !again.flags.active);
        // what somebody closed meanwhile stays as that is
        let mut fixed = expired.clone();
        fixed.flags.active = false;
        fixed.flags.is_mitigated = true;
        assert_eq!(applied(AcceptanceChange::Reinstate(ID), &fixed), fixed);
        let left = applied(AcceptanceChange::Leave(ID), &expired);
        assert_eq!((left.flags, left.acceptance), (Flags::OPEN, None));
    }

    #[test]
    fn what_was_fixed_while_it_was_accepted_is_not_opened() {
        let mut fixed = applied(AcceptanceChange::Accept(ID), &finding(Flags::OPEN));
        fixed.flags.is_mitigated = true;
        let expired = applied(expire(true, true), &fixed);
        assert!(!expired.flags.active && !expired.flags.risk_accepted);
        assert_eq!(expired.sla_start_date, None);
    }

    #[test]
    fn who_is_made_active_by_hand_leaves_its_acceptance() {
        let accepted = applied(AcceptanceChange::Accept(ID), &finding(Flags::OPEN));
        let mut open = accepted.clone();
        open.set_flags(Flags::OPEN, None, Timestamp::now());
        assert_eq!(open.acceptance, None);
        let mut fixed = accepted.clone();
        let flags = Flags {
            is_mitigated: true,
            ..accepted.flags
        };
        fixed.set_flags(flags, None, Timestamp::now());
        assert_eq!(fixed.acceptance, Some(ID), "its risk is accepted still");
        // so does one that has expired, when its flag alone is set
        let mut simple = applied(expire(true, false), &accepted);
        simple.set_flags(accepted.flags, None, Timestamp::now());
        assert_eq!(simple.acceptance, None);
    }

    #[test]
    fn accepted_and_open_are_counted_by_severity() {
        let mut counts = BTreeMap::new();
        let accepted = applied(AcceptanceChange::Accept(ID), &finding(Flags::OPEN));
        let closed = finding(Flags::default());
        for finding in [&accepted, &finding(Flags::OPEN), &closed] {
            AcceptedAndOpen::add(&mut counts, finding);
        }
        let counts: Vec<_> = counts.into_values().collect();
        assert_eq!(
            counts,
            [AcceptedAndOpen {
                accepted: 1,
                open: 1
            }]
        );
    }

    #[test]
    fn words_of_the_api_are_those_that_are_stored() {
        for (letter, treatment) in Treatment::LETTERS.iter().zip([
            Treatment::Accept,
            Treatment::Avoid,
            Treatment::Mitigate,
            Treatment::Fix,
            Treatment::Transfer,
        ]) {
            assert_eq!(serde_json::to_value(treatment).unwrap(), *letter);
        }
        for (name, state) in AcceptanceState::NAMES.iter().zip([
            AcceptanceState::Active,
            AcceptanceState::Expired,
            AcceptanceState::Removed,
        ]) {
            assert_eq!(
                (serde_json::to_value(state).unwrap(), state.name()),
                ((*name).into(), *name)
            );
        }
        let events: Vec<AcceptanceEvent> =
            serde_json::from_value(serde_json::json!(AcceptanceEvent::NAMES)).unwrap();
        assert_eq!(
            serde_json::to_value(events).unwrap(),
            serde_json::json!(AcceptanceEvent::NAMES)
        );
    }
}
