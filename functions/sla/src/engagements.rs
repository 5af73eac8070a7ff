//! Engagements that start soon, that should have ended, and that close by themselves.
//!
//! Each telling has a day on which it is due, and the event is kept under that day. So a run that comes twice
//! tells once, and one that comes after days on which nothing ran makes up for what was due meanwhile. An
//! engagement closes in the transaction that tells of it.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use tatami_domain::{
    AuditEntry, Engagement, EngagementEnded, EngagementStatus, EngagementTiming, Event, EventData,
    Product, SystemSettings,
};
use tatami_runtime::Services;
use tatami_store::{Record, StoreError, key_of_event};

use crate::SlaError;

/// So many days before an engagement starts this is told.
const BEFORE_DAYS: i64 = 3;
/// So many days after it should have ended this is told for the first time,
const STALE_DAYS: i64 = 3;
/// and then again each time so many days have passed.
const AGAIN_DAYS: i64 = 7;

/// What there is to do about an engagement on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// It starts in so many days.
    Starts(i64),
    /// It should have ended so many days ago; of the tellings of that, the last was due after so many.
    Stale { late: i64, due: i64 },
    /// It closes, so many days after it should have ended.
    Closes(i64),
}

/// Looks at all of them. What fails of one keeps no other; the first failure is given in the end.
pub async fn run(services: &Services, now: Timestamp) -> Result<(), SlaError> {
    let store = services.store.clone().hiding_deleted();
    let settings = store.system_settings().await?;
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut failed = None;
    for engagement in store.list::<Engagement>().await? {
        let Some(due) = due(&engagement, &settings, today) else {
            continue;
        };
        let id = engagement.id;
        if let Err(error) = Box::pin(one(services, engagement, due, now)).await {
            tracing::error!(engagement = %id, %error, "the daily run failed with an engagement");
            failed = failed.or(Some(error));
        }
    }
    failed.map_or(Ok(()), Err)
}

fn due(engagement: &Engagement, settings: &SystemSettings, today: Date) -> Option<Due> {
    if !engagement.active {
        return None;
    }
    let days = |from: Date, to: Date| from.until(to).map_or(0, |span| i64::from(span.get_days()));
    let left = days(today, engagement.target_start);
    if (1..=BEFORE_DAYS).contains(&left) {
        return Some(Due::Starts(left));
    }
    let late = days(engagement.target_end, today);
    let close_days = i64::from(settings.engagement_auto_close_days).max(1);
    if settings.engagement_auto_close && late >= close_days {
        return Some(Due::Closes(late));
    }
    (late >= STALE_DAYS).then(|| Due::Stale {
        late,
        due: late - (late - STALE_DAYS) % AGAIN_DAYS,
    })
}

async fn one(
    services: &Services,
    engagement: Engagement,
    due: Due,
    now: Timestamp,
) -> Result<(), SlaError> {
    let store = &services.store;
    let product: Product = match store.get(engagement.product).await {
        Err(error) if error.is_not_found() => return Ok(()),
        product => product?,
    };
    let (data, day) = match due {
        Due::Closes(late) => return close(services, &engagement, &product, late, now).await,
        Due::Starts(left) => {
            let timing = timing(&engagement, &product, left);
            let day = engagement.target_start.checked_sub(BEFORE_DAYS.days());
            (EventData::UpcomingEngagement(timing), day)
        }
        Due::Stale { late, due } => {
            let timing = timing(&engagement, &product, late);
            let day = engagement.target_end.checked_add(due.days());
            (EventData::StaleEngagement(timing), day)
        }
    };
    let day = day.unwrap_or(Date::MAX);
    let time = day
        .to_zoned(TimeZone::UTC)
        .map_or(now, |day| day.timestamp());
    let place = Some(engagement.product);
    let event = Event::new(&data, engagement.id, day.to_string(), place, time);
    // most days it's told already, and looking costs less than trying
    if store.event(&key_of_event(&event)).await?.is_none() {
        store.tell(&event).await?;
    }
    Ok(())
}

fn timing(engagement: &Engagement, product: &Product, days: i64) -> EngagementTiming {
    EngagementTiming {
        engagement: engagement.id,
        name: engagement.name.clone(),
        product_name: product.name.clone(),
        lead: engagement.lead,
        target_start: Some(engagement.target_start),
        target_end: Some(engagement.target_end),
        days: u32::try_from(days).unwrap_or(0),
    }
}

/// Closes one and tells of it, with an entry in the audit log.
async fn close(
    services: &Services,
    engagement: &Engagement,
    product: &Product,
    late: i64,
    now: Timestamp,
) -> Result<(), SlaError> {
    let (time, id) = (Timestamp::now(), engagement.id);
    let record = Record::new(AuditEntry {
        time,
        request_id: format!("daily-engagement-{id}-{}", time.as_nanosecond()),
        method: "JOB".into(),
        path: format!("/api/v2/engagements/{id}"),
        ..AuditEntry::default()
    });
    let today = now.to_zoned(TimeZone::UTC).date();
    let change = |own: &mut Engagement| {
        if !own.active || own.target_end != engagement.target_end {
            return Ok(None); // somebody was quicker, or it ends later now
        }
        own.active = false;
        own.status = EngagementStatus::Completed;
        own.updated = time;
        let data = EventData::AutoCloseEngagement(EngagementEnded {
            engagement: id,
            name: own.name.clone(),
            product_name: product.name.clone(),
            target_end: Some(own.target_end),
            days: u32::try_from(late).ok(),
            by: None,
        });
        // one that is opened again on the day on which it was closed closes with the next run
        let occasion = format!("{today} {}", time.as_nanosecond());
        Ok::<_, StoreError>(Some(Event::new(
            &data,
            id,
            occasion,
            Some(own.product),
            now,
        )))
    };
    record.watch(services.store.change_told(id, change)).await?;
    Ok(services.store.end_record(record, 200).await?)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn on(today: Date, settings: &SystemSettings) -> Option<Due> {
        let engagement = Engagement {
            active: true,
            target_start: date(2026, 3, 10),
            target_end: date(2026, 3, 20),
            ..Engagement::default()
        };
        due(&engagement, settings, today)
    }

    #[test]
    fn each_day_has_what_is_due() {
        let settings = SystemSettings {
            engagement_auto_close: false,
            ..SystemSettings::default()
        };
        let stale = |late, due| Some(Due::Stale { late, due });
        for (today, wanted) in [
            (date(2026, 3, 6), None),
            (date(2026, 3, 7), Some(Due::Starts(3))),
            (date(2026, 3, 9), Some(Due::Starts(1))),
            (date(2026, 3, 10), None),
            (date(2026, 3, 22), None),
            (date(2026, 3, 23), stale(3, 3)),
            (date(2026, 3, 29), stale(9, 3)),
            (date(2026, 3, 30), stale(10, 10)),
            (date(2026, 4, 7), stale(18, 17)),
        ] {
            assert_eq!(on(today, &settings), wanted, "{today}");
        }
        let closing = SystemSettings {
            engagement_auto_close: true,
            engagement_auto_close_days: 5,
            ..SystemSettings::default()
        };
        assert_eq!(on(date(2026, 3, 24), &closing), stale(4, 3));
        assert_eq!(on(date(2026, 3, 25), &closing), Some(Due::Closes(5)));
        assert_eq!(on(date(2026, 3, 19), &closing), None);
        let closed = Engagement::default();
        assert_eq!(due(&closed, &closing, date(2026, 3, 25)), None);
    }
}
