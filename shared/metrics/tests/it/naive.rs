//! Every metric over the findings themselves, as one would write it down: no sums, no rows.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tatami_domain::{Exploitation, Finding, Severity, SlaConfiguration};
use tatami_metrics::Range;

type Findings<'a> = Vec<&'a Finding>;

pub fn metrics(
    findings: &[Finding],
    range: Range,
    weeks: bool,
    today: Date,
    sla: &SlaConfiguration,
) -> Value {
    let all: Findings = findings.iter().collect();
    let number = |wanted: &dyn Fn(&Finding) -> bool| {
        by_severity(&all, &|f| json!(f.iter().filter(|f| wanted(f)).count()))
    };
    let fixed_since = |days: i32| {
        number(&|f| fixed(f) && day(f).is_some_and(|on| days_from_to(on, today) <= days))
    };
    let open: Findings = all.iter().copied().filter(|f| is_open(f)).collect();
    json!({
        "today": today.to_string(),
        "range": {
            "from": range.from.map(|day| day.to_string()),
            "to": range.to.map(|day| day.to_string()),
        },
        "counts": {
            "total": number(&|_| true),
            "open": number(&is_open),
            "verified_open": number(&|f| is_open(f) && f.flags.verified),
            "mitigated": number(&|f| f.flags.is_mitigated),
            "false_positive": number(&|f| f.flags.false_p),
            "out_of_scope": number(&|f| f.flags.out_of_scope),
            "risk_accepted": number(&|f| f.flags.risk_accepted),
            "duplicates": number(&|f| f.flags.duplicate),
            "under_review": number(&|f| f.flags.under_review),
        },
        "fixed": {
            "last_30_days": fixed_since(30),
            "last_60_days": fixed_since(60),
            "last_90_days": fixed_since(90),
        },
        "cvss": cvss(&open),
        "remediation": by_severity(&all, &|f| remediation(f, range)),
        "mttr": by_severity(&all, &|f| mttr(f, range)),
        "ageing": by_severity(&open, &|f| ageing(f, today)),
        "sla": by_severity(&all, &|f| standing(f, range, today, sla)),
        "trend": trend(&all, range, weeks),
    })
}

/// Says where two documents differ; floats may differ in their last digits.
pub fn compare(got: &Value, expected: &Value) -> Result<(), String> {
    compare_at("", got, expected)
}

fn compare_at(place: &str, got: &Value, expected: &Value) -> Result<(), String> {
    match (got, expected) {
        (Value::Object(a), Value::Object(b)) if a.len() == b.len() => {
            for (key, value) in a {
                let other = b.get(key).unwrap_or(&Value::Null);
                compare_at(&format!("{place}/{key}"), value, other)?;
            }
            Ok(())
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (n, (value, other)) in a.iter().zip(b).enumerate() {
                compare_at(&format!("{place}/{n}"), value, other)?;
            }
            Ok(())
        }
        (Value::Number(a), Value::Number(b))
            if (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-9 =>
        {
            Ok(())
        }
        _ if got == expected => Ok(()),
        _ => Err(format!("{place}: got {got}, not {expected}")),
    }
}

fn by_severity(findings: &Findings<'_>, make: &dyn Fn(&Findings<'_>) -> Value) -> Value {
    let of = |severity: Severity| {
        let own = findings.iter().copied();
        make(&own.filter(|f| f.severity == severity).collect())
    };
    json!({
        "all": make(findings),
        "critical": of(Severity::Critical),
        "high": of(Severity::High),
        "medium": of(Severity::Medium),
        "low": of(Severity::Low),
        "info": of(Severity::Info),
    })
}

fn is_open(f: &Finding) -> bool {
    f.flags.active && !f.flags.duplicate
}

fn fixed(f: &Finding) -> bool {
    let judged = f.flags.false_p || f.flags.out_of_scope || f.flags.duplicate;
    f.flags.is_mitigated && !judged
}

/// The UTC day of its mitigation.
fn day(f: &Finding) -> Option<Date> {
    Some(f.mitigated?.to_zoned(TimeZone::UTC).date())
}

fn days_from_to(from: Date, to: Date) -> i32 {
    from.until(to).unwrap().get_days()
}

fn within(day: Date, range: Range) -> bool {
    !(range.from.is_some_and(|from| day < from) || range.to.is_some_and(|to| to < day))
}

fn fixed_in(f: &Finding, range: Range) -> bool {
    fixed(f) && day(f).is_some_and(|on| within(on, range))
}

fn share(part: usize, whole: usize) -> Value {
    match whole {
        0 => Value::Null,
        _ => json!(part as f64 / whole as f64),
    }
}

fn cvss(open: &Findings<'_>) -> Value {
    let scores: Vec<f64> = (open.iter())
        .filter_map(|f| f.cvssv4_score.or(f.cvssv3_score))
        .collect();
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    json!({
        "mean": (!scores.is_empty()).then_some(mean),
        "n": scores.len(),
        "without_score": open.len() - scores.len(),
    })
}

fn remediation(findings: &Findings<'_>, range: Range) -> Value {
    let discovered: Findings<'_> = (findings.iter().copied())
        .filter(|f| within(f.date, range))
        .collect();
    let closed = discovered.iter().filter(|f| fixed(f)).count();
    let open = discovered.iter().filter(|f| is_open(f)).count();
    json!({ "fixed": closed, "open": open, "rate": share(closed, closed + open) })
}

fn mttr(findings: &Findings<'_>, range: Range) -> Value {
    let mut days: Vec<i32> = (findings.iter())
        .filter(|f| fixed_in(f, range) && !f.flags.risk_accepted)
        .map(|f| days_from_to(f.date, day(f).unwrap()).max(0))
        .collect();
    days.sort_unstable();
    let n = days.len();
    if n == 0 {
        return json!({ "n": 0, "mean": null, "median": null, "p90": null });
    }
    let median = if n % 2 == 1 {
        f64::from(days[n / 2])
    } else {
        f64::midpoint(f64::from(days[n / 2 - 1]), f64::from(days[n / 2]))
    };
    // the least value that 90 % don't exceed
    let p90 = (days.iter().copied())
        .find(|value| 10 * days.iter().filter(|other| *other <= value).count() >= 9 * n);
    json!({
        "n": n,
        "mean": f64::from(days.iter().sum::<i32>()) / n as f64,
        "median": median,
        "p90": p90,
    })
}

fn ageing(open: &Findings<'_>, today: Date) -> Value {
    let mut buckets = [0; 4];
    for f in open {
        let age = days_from_to(f.date, today).max(0);
        buckets[usize::try_from(age / 30).unwrap().min(3)] += 1;
    }
    json!({
        "days_0_to_29": buckets[0],
        "days_30_to_59": buckets[1],
        "days_60_to_89": buckets[2],
        "days_90_and_more": buckets[3],
    })
}

fn standing(
    findings: &Findings<'_>,
    range: Range,
    today: Date,
    configuration: &SlaConfiguration,
) -> Value {
    let [mut within, mut late, mut breached] = [0; 3];
    let [mut due_soon, mut on_track, mut without_sla] = [0; 3];
    for f in findings {
        if fixed_in(f, range) {
            match configuration.days_remaining(f, &Exploitation::of(f), day(f).unwrap()) {
                None => without_sla += 1,
                Some(left) if left >= 0 => within += 1,
                Some(_) => late += 1,
            }
        }
        if is_open(f) {
            match configuration.days_remaining(f, &Exploitation::of(f), today) {
                None => without_sla += 1,
                Some(left) if left < 0 => breached += 1,
                Some(left) if left <= 3 => due_soon += 1,
                Some(_) => on_track += 1,
            }
        }
    }
    json!({
        "within": within,
        "late": late,
        "breached": breached,
        "due_soon": due_soon,
        "on_track": on_track,
        "without_sla": without_sla,
        "compliance": share(within, within + late + breached),
    })
}

/// Goes through every day there may be, and sees which month or week it belongs to.
fn trend(findings: &Findings<'_>, range: Range, weeks: bool) -> Value {
    let month = |day: Date| (day.year(), day.month());
    let week = |day: Date| (day.iso_week_date().year(), day.iso_week_date().week());
    let name = |day: Date| if weeks { week(day) } else { month(day) };

    let mut periods: Vec<(Date, Date)> = Vec::new();
    // the first of a month and a Monday, the last of a month and a Sunday
    let (first, last) = (date(2011, 8, 1), date(2028, 12, 31));
    let mut today = first;
    while today <= last {
        if within(today, range) {
            match periods.last_mut() {
                Some((_, to)) if name(*to) == name(today) => *to = today,
                _ => periods.push((today, today)),
            }
        }
        today = today.tomorrow().unwrap();
    }

    let opened = |f: &Finding| Some(f.date).filter(|_| !f.flags.duplicate);
    let closed = |f: &Finding| day(f).filter(|_| fixed(f));
    let in_period = |day: Option<Date>, (from, to): (Date, Date)| {
        day.is_some_and(|day| from <= day && day <= to)
    };
    let busy = |period: (Date, Date)| {
        (findings.iter()).any(|f| in_period(opened(f), period) || in_period(closed(f), period))
    };
    if range.from.is_none() {
        let quiet = periods.iter().take_while(|period| !busy(**period)).count();
        periods.drain(..quiet);
    }
    if range.to.is_none() {
        while periods.pop_if(|period| !busy(*period)).is_some() {}
    }
    let left_out = periods.len().saturating_sub(120);
    let count = |date: &dyn Fn(&Finding) -> Option<Date>, period| {
        by_severity(findings, &|f| {
            json!(f.iter().filter(|f| in_period(date(f), period)).count())
        })
    };
    let shown: Vec<Value> = (periods[left_out..].iter())
        .map(|period| {
            json!({
                "from": period.0.to_string(),
                "to": period.1.to_string(),
                "opened": count(&opened, *period),
                "closed": count(&closed, *period),
            })
        })
        .collect();
    json!({
        "step": if weeks { "week" } else { "month" },
        "earlier_left_out": left_out > 0,
        "periods": shown,
    })
}
