//! `tatami findings`: a list with filters.

use anyhow::Context as _;
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};
use tatami_domain::{Severity, ShortStatus};

use crate::client::{Client, ServerArgs};
use crate::table::{self, Table};

#[derive(Args)]
pub struct FindingsArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Only of this product
    #[arg(long, value_name = "NAME or ID")]
    product: Option<String>,
    /// Only of this engagement
    #[arg(long, value_name = "ID")]
    engagement: Option<u64>,
    /// Only of this test
    #[arg(long, value_name = "ID")]
    test: Option<u64>,
    /// Only of these severities, such as `critical,high`
    #[arg(long, value_delimiter = ',', value_parser = severity)]
    severity: Vec<Severity>,
    /// Only with one of these: open, in-progress, fixed, accepted, false-positive, out-of-scope,
    /// duplicate, inactive
    #[arg(long, value_delimiter = ',', value_parser = status)]
    status: Vec<ShortStatus>,
    /// Show no more than this many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Columns to order by, with - in front for descending, such as `-date,title`
    #[arg(long, value_name = "COLUMNS", allow_hyphen_values = true)]
    order: Option<String>,
    /// Any filter of the REST API's list of findings, such as `component_name=openssl`
    #[arg(long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<(String, String)>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Some findings, and how many there are in all.
pub struct Listed {
    count: u64,
    findings: Vec<Value>,
}

/// What a table shows of a finding.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Shown {
    id: u64,
    title: String,
    severity: String,
    status: String,
    duplicate_finding: Option<u64>,
    component_name: Option<String>,
    component_version: Option<String>,
    file_path: Option<String>,
    line: Option<u64>,
    endpoint_urls: Vec<String>,
    sla_expiration_date: Option<String>,
    sla_days_remaining: Option<i64>,
}

/// Prints them.
pub fn run(args: &FindingsArgs) -> anyhow::Result<()> {
    let client = args.server.client()?;
    let listed = list(&client, &query(args), args.limit)?;
    if args.json {
        return table::print_json(&json!({"count": listed.count, "results": listed.findings}));
    }
    listed.print()
}

/// Gets up to `limit` of the findings that a query asks for.
pub fn list(client: &Client, query: &[(&str, String)], limit: usize) -> anyhow::Result<Listed> {
    let (count, findings) = client.list("findings/", query, limit)?;
    Ok(Listed { count, findings })
}

impl Listed {
    /// Prints a table.
    pub fn print(&self) -> anyhow::Result<()> {
        let columns = [
            "Id",
            "Severity",
            "Title",
            "Component",
            "Location",
            "Status",
            "Due",
        ];
        let mut table = Table::new(columns)
            .one_line()
            .right(&[0])
            .whole(&[0, 1, 5, 6]);
        for finding in &self.findings {
            let shown = Shown::deserialize(finding).context("a finding cannot be read")?;
            table.row(shown.cells());
        }
        if !self.findings.is_empty() {
            table.print()?;
        }
        let (shown, count) = (self.findings.len() as u64, self.count);
        table::print_line(&match (shown, count) {
            (_, 0) => "No findings.".to_owned(),
            (1, 1) => "1 finding.".to_owned(),
            _ if shown < count => format!("{shown} of {count} findings; --limit shows more."),
            _ => format!("{count} findings."),
        })
    }
}

impl Shown {
    fn cells(self) -> [String; 7] {
        let component = [self.component_name, self.component_version];
        let location = match (
            self.file_path.filter(|p| !p.is_empty()),
            self.line,
            &self.endpoint_urls[..],
        ) {
            (Some(path), Some(line), _) if line > 0 => format!("{path}:{line}"),
            (Some(path), _, _) => path,
            (None, _, [one]) => one.clone(),
            (None, _, [first, others @ ..]) => format!("{first} (+{})", others.len()),
            (None, _, []) => String::new(),
        };
        let status = match self.duplicate_finding {
            Some(original) if self.status == ShortStatus::Duplicate.name() => {
                format!("{} of {original}", self.status)
            }
            _ => self.status,
        };
        let due = match (self.sla_expiration_date, self.sla_days_remaining) {
            (Some(day), Some(left)) if left < 0 => format!("{day} overdue"),
            (day, _) => day.unwrap_or_default(),
        };
        [
            self.id.to_string(),
            self.severity,
            self.title,
            component
                .into_iter()
                .flatten()
                .filter(|t| !t.is_empty())
                .collect::<Vec<_>>()
                .join(" "),
            location,
            status,
            due,
        ]
    }
}

fn query(args: &FindingsArgs) -> Vec<(&str, String)> {
    let mut query = Vec::new();
    if let Some(product) = &args.product {
        let is_id = product.parse::<u64>().is_ok();
        query.push((
            if is_id { "product" } else { "product_name" },
            product.clone(),
        ));
    }
    let ids = [("engagement", args.engagement), ("test", args.test)];
    query.extend(
        ids.into_iter()
            .filter_map(|(name, id)| Some((name, id?.to_string()))),
    );
    let severities: Vec<&str> = args.severity.iter().map(|s| s.name()).collect();
    let statuses: Vec<&str> = args.status.iter().map(|s| s.name()).collect();
    for (name, values) in [("severity", severities), ("status", statuses)] {
        if !values.is_empty() {
            query.push((name, values.join(",")));
        }
    }
    query.extend(args.order.iter().map(|columns| ("o", columns.clone())));
    query.extend(
        args.filter
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone())),
    );
    query
}

/// Reads a severity in any case.
pub fn severity(text: &str) -> Result<Severity, String> {
    Severity::from_report(text).ok_or_else(|| {
        format!("\"{text}\" is not a severity: use Critical, High, Medium, Low or Info")
    })
}

fn status(text: &str) -> Result<ShortStatus, String> {
    let letters = |text: &str| -> String {
        text.chars()
            .filter(char::is_ascii_alphabetic)
            .collect::<String>()
            .to_ascii_lowercase()
    };
    let mut all = ShortStatus::ALL.into_iter();
    all.find(|status| letters(status.name()) == letters(text))
        .ok_or_else(|| {
            let names = ShortStatus::ALL.map(ShortStatus::name).join(", ");
            format!("\"{text}\" is not a status: use one of {names}")
        })
}

/// A filter as it is written: KEY=VALUE.
pub fn filter(text: &str) -> Result<(String, String), String> {
    let pair = text
        .split_once('=')
        .filter(|(name, _)| !name.trim().is_empty());
    let (name, value) = pair.ok_or_else(|| format!("\"{text}\" is not of the form KEY=VALUE"))?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_taken_as_people_write_them() {
        assert_eq!(status("in-progress"), Ok(ShortStatus::InProgress));
        assert_eq!(status("False positive"), Ok(ShortStatus::FalsePositive));
        assert!(status("closed").unwrap_err().contains("Fixed"));
    }

    #[test]
    fn rows_say_where_and_until_when() {
        let shown = Shown::deserialize(json!({
            "id": 7, "title": "t", "severity": "High", "status": "Duplicate",
            "duplicate_finding": 3, "component_name": "a", "component_version": "1",
            "endpoint_urls": ["https://a/", "https://b/"],
            "sla_expiration_date": "2026-01-31", "sla_days_remaining": -2,
        }));
        assert_eq!(
            shown.unwrap().cells(),
            [
                "7",
                "High",
                "t",
                "a 1",
                "https://a/ (+1)",
                "Duplicate of 3",
                "2026-01-31 overdue"
            ]
        );
    }
}
