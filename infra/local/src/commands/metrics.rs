//! `tatami metrics`: numbers of findings, how fast they are fixed and whether in time.

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::client::{Client, ServerArgs};
use crate::table::{self, Table};

/// The severities of the API's answers, and all of them together.
const SEVERITIES: [(&str, &str); 6] = [
    ("Critical", "critical"),
    ("High", "high"),
    ("Medium", "medium"),
    ("Low", "low"),
    ("Info", "info"),
    ("All", "all"),
];

#[derive(Args)]
pub struct MetricsArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    scope: ScopeArgs,
    /// A line for each product, the worst first, in the place of one for each severity
    #[arg(long)]
    products: bool,
    /// Print them as JSON or CSV
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
}

/// What says of which findings.
#[derive(Args)]
struct ScopeArgs {
    /// Only of this product
    #[arg(long, value_name = "NAME or ID")]
    product: Option<String>,
    /// Only of this engagement
    #[arg(long, value_name = "ID")]
    engagement: Option<u64>,
    /// Only of findings with one of these tags
    #[arg(long, value_delimiter = ',')]
    tag: Vec<String>,
    /// From this day on
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: Option<String>,
    /// Until this day
    #[arg(long, value_name = "YYYY-MM-DD")]
    to: Option<String>,
    /// As they were on this day
    #[arg(long, value_name = "YYYY-MM-DD")]
    as_of: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Json,
    Csv,
}

/// Prints them.
pub fn run(args: &MetricsArgs) -> anyhow::Result<()> {
    let client = args.server.client()?;
    let mut query = query(&client, &args.scope)?;
    let path = if args.products {
        "metrics/products/"
    } else {
        "metrics/"
    };
    if args.format == Some(Format::Csv) {
        query.push(("format", "csv".into()));
        let csv = client.get_text(path, &query)?;
        // the mark at the start is for Excel
        return table::print_line(csv.trim_start_matches('\u{feff}').trim_end());
    }
    let answer = client.get(path, &query)?;
    if answer.status != 200 {
        return Err(client.refusal(&answer));
    }
    if args.format == Some(Format::Json) {
        return table::print_json(&answer.body);
    }
    if args.products {
        by_product(&answer.body)
    } else {
        by_severity(&answer.body)
    }
}

fn query(client: &Client, scope: &ScopeArgs) -> anyhow::Result<Vec<(&'static str, String)>> {
    let mut query = Vec::new();
    if let Some(product) = &scope.product {
        query.push(("product", product_id(client, product)?.to_string()));
    }
    let given = [
        ("engagement", scope.engagement.map(|id| id.to_string())),
        ("from", scope.from.clone()),
        ("to", scope.to.clone()),
        ("as_of", scope.as_of.clone()),
        (
            "tag",
            Some(scope.tag.join(",")).filter(|tags| !tags.is_empty()),
        ),
    ];
    query.extend(
        given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    Ok(query)
}

/// The id of a product by its id or name.
pub fn product_id(client: &Client, product: &str) -> anyhow::Result<u64> {
    if let Ok(id) = product.parse() {
        return Ok(id);
    }
    let (_, found) = client.list("products/", &[("name_exact", product.to_owned())], 1)?;
    let id = found.first().and_then(|product| product["id"].as_u64());
    id.with_context(|| format!("there is no product \"{product}\", or you may not see it"))
}

fn by_severity(metrics: &Value) -> anyhow::Result<()> {
    let columns = [
        "Severity",
        "Open",
        "Fixed in 30 days",
        "Breached",
        "Due soon",
        "In time",
        "Days to fix",
    ];
    let mut table = Table::new(columns).right(&[1, 2, 3, 4, 5, 6]);
    for (name, key) in SEVERITIES {
        let sla = &metrics["sla"][key];
        table.row([
            name.to_owned(),
            metrics["counts"]["open"][key].to_string(),
            metrics["fixed"]["last_30_days"][key].to_string(),
            sla["breached"].to_string(),
            sla["due_soon"].to_string(),
            percent(&sla["compliance"]),
            number(&metrics["mttr"][key]["mean"]),
        ]);
    }
    table.print()
}

fn by_product(answer: &Value) -> anyhow::Result<()> {
    let columns = [
        "Product",
        "Grade",
        "Critical",
        "High",
        "Open",
        "Breached",
        "In time",
        "Days to fix",
    ];
    let mut table = Table::new(columns).one_line().right(&[2, 3, 4, 5, 6, 7]);
    for row in answer["results"].as_array().into_iter().flatten() {
        let letter = row["letter"].as_str().unwrap_or_default();
        table.row([
            row["name"].as_str().unwrap_or_default().to_owned(),
            format!("{} {letter}", row["grade"]),
            row["open"]["critical"].to_string(),
            row["open"]["high"].to_string(),
            row["open"]["all"].to_string(),
            row["breached"].to_string(),
            percent(&row["compliance"]),
            number(&row["mttr_days"]),
        ]);
    }
    table.print()
}

fn percent(ratio: &Value) -> String {
    ratio
        .as_f64()
        .map_or("-".into(), |ratio| format!("{:.0} %", ratio * 100.0))
}

fn number(number: &Value) -> String {
    number
        .as_f64()
        .map_or("-".into(), |number| format!("{number:.1}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_known_is_a_dash() {
        assert_eq!(
            (percent(&json!(0.995)), percent(&Value::Null)),
            ("100 %".into(), "-".into())
        );
        assert_eq!(
            (number(&json!(2.25)), number(&Value::Null)),
            ("2.2".into(), "-".into())
        );
    }
}
