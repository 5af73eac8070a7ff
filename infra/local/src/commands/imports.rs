//! `tatami imports`: what was imported and how it went.

use clap::Args;
use serde_json::{Value, json};

use super::import::{Outcome, report};
use crate::client::{Client, ServerArgs};
use crate::table::{self, Table};

#[derive(Args)]
pub struct ImportsArgs {
    /// Show this import instead of a list
    #[arg(value_name = "ID")]
    id: Option<u64>,
    #[command(flatten)]
    server: ServerArgs,
    /// Only into this product
    #[arg(long, value_name = "ID")]
    product: Option<u64>,
    /// Only into this engagement
    #[arg(long, value_name = "ID")]
    engagement: Option<u64>,
    /// Only into this test
    #[arg(long, value_name = "ID")]
    test: Option<u64>,
    /// Only in one of these states: queued, parsing, processing, done, failed
    #[arg(long, value_delimiter = ',')]
    state: Vec<String>,
    /// Only of this scan type
    #[arg(long, value_name = "NAME")]
    scan_type: Option<String>,
    /// Show no more than this many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints them.
pub fn run(args: &ImportsArgs) -> anyhow::Result<()> {
    let client = args.server.client()?;
    match args.id {
        Some(id) => show(&client, id, args.json),
        None => list(&client, args),
    }
}

fn show(client: &Client, id: u64, as_json: bool) -> anyhow::Result<()> {
    let answer = client.get(&format!("imports/{id}/"), &[])?;
    if answer.status != 200 {
        return Err(client.refusal(&answer));
    }
    if as_json {
        return table::print_json(&answer.body);
    }
    let name = answer.body["file_name"].as_str().unwrap_or_default();
    report(&[Outcome::new(name.to_owned(), Ok(answer.body))], false)
}

fn list(client: &Client, args: &ImportsArgs) -> anyhow::Result<()> {
    let ids = [
        ("product", args.product),
        ("engagement", args.engagement),
        ("test", args.test),
    ];
    let mut query: Vec<(&str, String)> = (ids.into_iter())
        .filter_map(|(name, id)| Some((name, id?.to_string())))
        .collect();
    if !args.state.is_empty() {
        query.push(("state", args.state.join(",")));
    }
    query.extend(args.scan_type.clone().map(|name| ("scan_type", name)));
    let (count, imports) = client.list("imports/", &query, args.limit)?;
    if args.json {
        return table::print_json(&json!({"count": count, "results": imports}));
    }
    let columns = [
        "Import",
        "Started",
        "State",
        "Type",
        "Scan type",
        "Test",
        "New",
        "Closed",
        "Back",
        "Same",
        "File",
    ];
    let numbers = [0, 5, 6, 7, 8, 9];
    let mut table = Table::new(columns)
        .one_line()
        .right(&numbers)
        .whole(&[0, 1, 2, 3, 5, 6, 7, 8, 9]);
    for import in &imports {
        table.row(cells(import));
    }
    if !imports.is_empty() {
        table.print()?;
    }
    let shown = imports.len() as u64;
    table::print_line(&match (shown, count) {
        (_, 0) => "No imports.".to_owned(),
        (1, 1) => "1 import.".to_owned(),
        _ if shown < count => format!("{shown} of {count} imports; --limit shows more."),
        _ => format!("{count} imports."),
    })
}

fn cells(import: &Value) -> [String; 11] {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let count = |name: &str| text(&import["counts"][name]);
    // to the second
    let started = text(&import["created"])
        .chars()
        .take(19)
        .collect::<String>();
    [
        text(&import["id"]),
        started.replace('T', " "),
        text(&import["state"]),
        text(&import["type"]),
        text(&import["scan_type"]),
        text(&import["test"]),
        count("created"),
        count("closed"),
        count("reactivated"),
        count("untouched"),
        text(&import["file_name"]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_say_what_and_when() {
        let import = json!({
            "id": 7, "created": "2026-01-05T10:00:00.123Z", "state": "done", "type": "reimport",
            "scan_type": null, "test": 3, "file_name": "r.json",
            "counts": {"created": 5, "closed": 1, "reactivated": 0, "untouched": 9},
        });
        let expected = [
            "7",
            "2026-01-05 10:00:00",
            "done",
            "reimport",
            "",
            "3",
            "5",
            "1",
            "0",
            "9",
            "r.json",
        ];
        assert_eq!(cells(&import), expected);
    }
}
