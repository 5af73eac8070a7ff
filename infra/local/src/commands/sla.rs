//! `tatami sla`: open findings that are past their due day, or come to it soon.

use clap::Args;
use serde_json::{Value, json};

use super::metrics::product_id;
use crate::client::ServerArgs;
use crate::table::{self, Table};

#[derive(Args)]
pub struct SlaArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Also those that are due within so many days
    #[arg(long, value_name = "DAYS")]
    due_within: Option<u32>,
    /// Only of this product
    #[arg(long, value_name = "NAME or ID")]
    product: Option<String>,
    /// Show no more than this many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints them, the latest first.
pub fn run(args: &SlaArgs) -> anyhow::Result<()> {
    let client = args.server.client()?;
    let mut query = Vec::new();
    if let Some(product) = &args.product {
        query.push(("product", product_id(&client, product)?.to_string()));
    }
    query.extend(args.due_within.map(|days| ("due_within", days.to_string())));
    let (count, late) = client.list("sla_breaches/", &query, args.limit)?;
    if args.json {
        return table::print_json(&json!({"count": count, "results": late}));
    }
    let mut table = Table::new(["Id", "Severity", "Title", "Product", "Due", "Days left"])
        .one_line()
        .right(&[0, 5])
        .whole(&[0, 1, 4, 5]);
    for finding in &late {
        let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        table.row([
            finding["id"].to_string(),
            text("severity"),
            text("title"),
            text("product_name"),
            text("sla_expiration_date"),
            finding["sla_days_remaining"].to_string(),
        ]);
    }
    if !late.is_empty() {
        table.print()?;
    }
    table::print_line(&said(count, &late))
}

fn said(count: u64, shown: &[Value]) -> String {
    match (shown.len() as u64, count) {
        (_, 0) => "No findings.".to_owned(),
        (shown, count) if shown < count => {
            format!("{shown} of {count} findings; --limit shows more.")
        }
        (_, 1) => "1 finding.".to_owned(),
        (_, count) => format!("{count} findings."),
    }
}
