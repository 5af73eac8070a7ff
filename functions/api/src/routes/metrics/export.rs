//! Metrics as tables.

use axum::response::Response;
use serde_json::Value;
use tatami_export::{Cell, Column, Format, Kind};

use crate::error::Result;
use crate::export::table;

const SEVERITIES: [&str; 6] = ["all", "critical", "high", "medium", "low", "info"];

/// A row for each number: what it is, of which severity, and of which days.
pub fn metrics(view: &Value, format: Format) -> Result<Response> {
    let columns = vec![
        Column::new("metric", Kind::Text),
        Column::new("severity", Kind::Text),
        Column::new("from", Kind::Text),
        Column::new("to", Kind::Text),
        Column::new("value", Kind::Number),
    ];
    let mut rows = Vec::new();
    let days = (view["range"]["from"].as_str(), view["range"]["to"].as_str());
    for (name, part) in view.as_object().into_iter().flatten() {
        match name.as_str() {
            "today" | "range" => {}
            "trend" => {
                for period in part["periods"].as_array().into_iter().flatten() {
                    let days = (period["from"].as_str(), period["to"].as_str());
                    for name in ["opened", "closed", "open", "sla"] {
                        add(&mut rows, name, "all", &period[name], days);
                    }
                }
            }
            name => add(&mut rows, name, "all", part, days),
        }
    }
    table("metrics", columns, rows, format)
}

/// Adds the numbers of a part of the answer, with the names on the way to them.
fn add(
    rows: &mut Vec<Vec<Cell>>,
    name: &str,
    severity: &str,
    part: &Value,
    days: (Option<&str>, Option<&str>),
) {
    match part {
        Value::Object(parts) => {
            for (own, part) in parts {
                if SEVERITIES.contains(&own.as_str()) {
                    add(rows, name, own, part, days);
                } else {
                    add(rows, &format!("{name}.{own}"), severity, part, days);
                }
            }
        }
        Value::Number(_) | Value::Null => rows.push(vec![
            Cell::from(name),
            Cell::from(severity),
            Cell::from(days.0),
            Cell::from(days.1),
            Cell::from(part.as_f64()),
        ]),
        Value::Bool(_) | Value::String(_) | Value::Array(_) => {}
    }
}

/// A row for each product.
pub fn products(rows: &[Value], format: Format) -> Result<Response> {
    let numbers = [
        "total",
        "grade",
        "breached",
        "due_soon",
        "compliance",
        "mttr_days",
        "remediation_rate",
    ];
    let columns = ["product"]
        .map(|name| Column::new(name, Kind::Integer))
        .into_iter()
        .chain(["name", "letter"].map(|name| Column::new(name, Kind::Text)))
        .chain(SEVERITIES.map(|name| Column::new(format!("open_{name}"), Kind::Integer)))
        .chain(numbers.map(|name| Column::new(name, Kind::Number)));
    let cells = |row: &Value| {
        let text = |name: &str| Cell::from(row[name].as_str());
        let mut cells = vec![
            Cell::from(row["product"].as_i64()),
            text("name"),
            text("letter"),
        ];
        cells.extend(SEVERITIES.map(|name| Cell::from(row["open"][name].as_i64())));
        cells.extend(numbers.map(|name| Cell::from(row[name].as_f64())));
        cells
    };
    table(
        "products",
        columns.collect(),
        rows.iter().map(cells),
        format,
    )
}
