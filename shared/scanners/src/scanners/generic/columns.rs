//! Generic findings in CSV.

use tatami_domain::{Endpoint, ReportFinding, Severity};

use super::fields::{self, Field};
use crate::kit::csv::{Row, Rows};
use crate::kit::merged::Merged;
use crate::kit::text;
use crate::{Refusal, Report, Sink};

/// Columns that are called otherwise than the field they go into.
const COLUMNS: [(&str, &str); 8] = [
    ("CweId", "cwe"),
    ("FalsePositive", "false_p"),
    ("Url", URL),
    ("Endpoint", URL),
    ("Vulnerability Id", "vulnerability_ids"),
    ("VulnerabilityId", "vulnerability_ids"),
    ("MitigatedDate", "mitigated"),
    ("PublishDate", "publish_date"),
];

/// Goes into the endpoints, which are no field of one value.
const URL: &str = "url";

/// Where a column goes.
#[derive(Clone, Copy)]
pub enum Place {
    Endpoints,
    Field(Field),
}

/// Where the column of this name goes.
pub fn place_of(column: &str) -> Option<Place> {
    let alias = COLUMNS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(column));
    match alias.map_or(column, |(_, field)| field) {
        URL => Some(Place::Endpoints),
        field => Field::like(field).map(Place::Field),
    }
}

pub fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut rows = Rows::open(report)?;
    rows.require(&[&["Title"], &["Severity"], &["Description"]])?;
    let names = rows.header().names();
    let columns: Vec<(String, Place)> = (names.iter())
        .filter_map(|name| Some((name.clone(), place_of(name)?)))
        .collect();
    for name in names
        .iter()
        .filter(|name| !name.is_empty() && place_of(name).is_none())
    {
        sink.warning(crate::Warning {
            record: "the header".into(),
            message: format!("the column \"{name}\" is not known and left out"),
        });
    }
    let mut merged = Merged::default();
    while let Some(row) = rows.next_row(sink)? {
        let finding = finding(&row, &columns, sink);
        match fields::missing(&finding, true) {
            Some(field) => sink.warning(row.warning(format!("has no {field}"))),
            None => add(finding, &mut merged),
        }
    }
    merged.hand_over(sink)?;
    Ok(())
}

fn finding(row: &Row<'_>, columns: &[(String, Place)], sink: &mut dyn Sink) -> ReportFinding {
    let mut finding = fields::blank();
    for (column, place) in columns {
        let Some(value) = row.raw(&[column]).filter(|value| !value.trim().is_empty()) else {
            continue;
        };
        let put = match place {
            Place::Endpoints => Endpoint::parse(value)
                .map(|endpoint| text::push_new(&mut finding.endpoints, endpoint))
                .map_err(|error| error.to_string()),
            Place::Field(field) => field.put(&mut finding, &[value.to_owned()]),
        };
        if let Err(message) = put {
            sink.warning(row.warning(format!("{column}: {message}")));
        }
    }
    finding
}

/// Findings wait until the last row: any row may add an endpoint to any of them.
fn add(finding: ReportFinding, merged: &mut Merged<(Severity, String, String)>) {
    let key = (
        finding.severity,
        finding.title.clone(),
        finding.description.clone(),
    );
    let known = merged.entry(key, || ReportFinding {
        nb_occurences: Some(0),
        ..finding.clone()
    });
    let more = finding.nb_occurences.unwrap_or(1);
    known.nb_occurences = known.nb_occurences.map(|n| n.saturating_add(more));
    for endpoint in finding.endpoints {
        text::push_new(&mut known.endpoints, endpoint);
    }
}
