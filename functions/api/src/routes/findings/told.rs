//! What there is to tell of a finding that somebody changes.

use jiff::Timestamp;
use tatami_auth::Place;
use tatami_domain::{Event, EventData, Finding, ReviewRequested, User, UserId};
use tatami_duplicates::{critical_event, mention, turned_critical};
use tatami_store::{Change, Commit, Store};

use crate::error::Result;
use crate::routes::mentions::{may_see, mentioned};

/// The events of a change with its note: that findings are Critical and open now, that people are asked to
/// look at one, and that people are named in the note.
pub async fn of_change(
    store: &Store,
    by: UserId,
    commit: &Commit,
    now: Timestamp,
) -> Result<Vec<Event>> {
    let critical = turned_critical(&commit.changes);
    let critical = critical_event(store, &critical, None, &commit.unique, now).await?;
    let mut events: Vec<Event> = critical.into_iter().collect();
    let note = commit.notes.first();
    for (old, new) in commit.changes.iter().map(Change::sides) {
        let (Some(old), Some(new)) = (old, new) else {
            continue;
        };
        let own = note.filter(|(id, _)| *id == new.id);
        let entry = own.map_or("", |(_, note)| &note.entry);
        let asked = asked(store, old, new).await?;
        if !asked.is_empty() {
            let data = EventData::ReviewRequested(ReviewRequested {
                finding: new.id,
                title: new.title.clone(),
                severity: new.severity,
                by,
                reviewers: asked.clone(),
                note: entry.to_owned(),
            });
            let place = Some(new.product);
            events.push(Event::new(&data, new.id, &*commit.unique, place, now).to(asked));
        }
        if let Some((_, note)) = own {
            let named = mentioned(store, by, Place::from(new), entry).await?;
            events.extend(mention(by, new, note.id, entry, &named, now));
        }
    }
    Ok(events)
}

/// Who is asked to look at a finding now, wasn't before, and may see it.
async fn asked(store: &Store, old: &Finding, new: &Finding) -> Result<Vec<UserId>> {
    if !new.flags.under_review {
        return Ok(Vec::new());
    }
    let known = |user: &UserId| old.flags.under_review && old.reviewers.contains(user);
    let asked = new.reviewers.iter().copied().filter(|user| !known(user));
    let mut all = Vec::new();
    for user in store.get_all::<User>(asked).await? {
        if may_see(store, &user, Place::from(new)).await? {
            all.push(user.id);
        }
    }
    Ok(all)
}
