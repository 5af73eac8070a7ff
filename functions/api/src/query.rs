//! The query string: repeated and comma-separated values, and values of the usual kinds.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::error::{ApiError, Result};

/// The query string, decoded, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query string without its question mark.
    pub fn parse(text: &str) -> Self {
        Self(
            form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// The names and values.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The last value of a name that isn't empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let values = self
            .pairs()
            .filter(|(n, v)| *n == name && !v.trim().is_empty());
        values.last().map(|(_, value)| value)
    }

    /// Every value of a name, repeated or separated by commas.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.pairs()
            .filter(|(n, _)| *n == name)
            .flat_map(|(_, value)| value.split(','))
            .map(str::trim)
            .filter(|value| !value.is_empty())
            .collect()
    }

    /// Every value of a name as an id; none where the name is absent.
    pub fn ids(&self, name: &str) -> Result<Vec<u64>> {
        let id = |text: &str| {
            text.parse()
                .map_err(|_| ApiError::field(name, format!("\"{text}\" is not an id")))
        };
        self.all(name).into_iter().map(id).collect()
    }

    /// A filter's boolean.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        match text.trim() {
            "true" | "True" | "1" | "2" => Ok(Some(true)),
            "false" | "False" | "0" | "3" => Ok(Some(false)),
            _ => Err(ApiError::field(
                name,
                format!("\"{text}\" is not a boolean: use true or false"),
            )),
        }
    }

    /// A number.
    pub fn number(&self, name: &str) -> Result<Option<f64>> {
        let read = |text: &str| {
            let number = text.trim().parse().ok().filter(|n: &f64| n.is_finite());
            number.ok_or_else(|| ApiError::field(name, format!("\"{text}\" is not a number")))
        };
        self.get(name).map(read).transpose()
    }

    /// A day; a time is cut to its day.
    pub fn day(&self, name: &str) -> Result<Option<Date>> {
        let read = |text: &str| {
            tatami_domain::parse_date(text).ok_or_else(|| {
                ApiError::field(name, format!("\"{text}\" is not a date: use YYYY-MM-DD"))
            })
        };
        self.get(name).map(read).transpose()
    }

    /// A time; a day stands for its start.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>> {
        let read = |text: &str| {
            let start = |day: Date| Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp());
            let text = text.trim();
            let time = text.parse().ok();
            time.or_else(|| start(tatami_domain::parse_date(text)?))
                .ok_or_else(|| {
                    let message = format!("\"{text}\" is not a time: use YYYY-MM-DDThh:mm:ssZ");
                    ApiError::field(name, message)
                })
        };
        self.get(name).map(read).transpose()
    }

    /// A span of days: one day, or one of the numbered spans that clients know (1 today, 2 to 4 the
    /// past 7, 30 and 90 days, 5 this month, 6 this year, 7 the past year).
    pub fn span(&self, name: &str, today: Date) -> Result<Option<(Date, Date)>> {
        let days = |n: i32| today.checked_sub(n.days()).unwrap_or(Date::MIN);
        let from = match self.get(name).map(str::trim) {
            None => return Ok(None),
            Some("1") => today,
            Some("2") => days(7),
            Some("3") => days(30),
            Some("4") => days(90),
            Some("5") => today.first_of_month(),
            Some("6") => today.first_of_year(),
            Some("7") => days(365),
            Some(_) => return Ok(self.day(name)?.map(|day| (day, day))),
        };
        Ok(Some((from, Date::MAX)))
    }
}

/// Today in UTC.
pub fn today() -> Date {
    day_of(Timestamp::now())
}

/// The day of a time in UTC.
pub fn day_of(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn values_come_repeated_or_separated() {
        let query = Query::parse("id=1,2&id=3&x=&title=a+b%2Cc");
        assert_eq!(query.ids("id").unwrap(), [1, 2, 3]);
        assert_eq!(query.get("x"), None);
        assert_eq!(query.get("title"), Some("a b,c"));
        assert!(Query::parse("id=a").ids("id").is_err());
    }

    #[test]
    fn booleans_have_the_spellings_that_clients_use() {
        for (text, wanted) in [("true", true), ("2", true), ("False", false), ("3", false)] {
            let query = Query::parse(&format!("active={text}"));
            assert_eq!(query.boolean("active").unwrap(), Some(wanted));
        }
        assert_eq!(Query::parse("active=").boolean("active").unwrap(), None);
        assert!(Query::parse("active=yes").boolean("active").is_err());
    }

    #[test]
    fn dates_are_days_or_numbered_spans() {
        let today = date(2026, 3, 10);
        let span = |text: &str| Query::parse(text).span("date", today);
        assert_eq!(
            span("date=2026-01-02").unwrap(),
            Some((date(2026, 1, 2), date(2026, 1, 2)))
        );
        assert_eq!(span("date=2").unwrap(), Some((date(2026, 3, 3), Date::MAX)));
        assert_eq!(span("date=5").unwrap(), Some((date(2026, 3, 1), Date::MAX)));
        assert_eq!(span("").unwrap(), None);
        assert!(span("date=soon").is_err());
    }
}
