//! `tatami accept` and `tatami acceptances`: risks that somebody takes.

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};

use crate::client::ServerArgs;
use crate::table::{self, Table};

#[derive(Args)]
pub struct AcceptArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The findings
    #[arg(value_name = "FINDING", required = true)]
    findings: Vec<u64>,
    /// Why the risk may be taken
    #[arg(long, value_name = "TEXT")]
    justification: String,
    /// What the acceptance is called
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Who takes the risk
    #[arg(long, value_name = "TEXT")]
    accepted_by: Option<String>,
    /// It ends after so many days; the system's settings say it otherwise
    #[arg(long, value_name = "DAYS", conflicts_with = "never_expires")]
    expires: Option<u32>,
    /// It has no end
    #[arg(long)]
    never_expires: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct AcceptancesArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Only those that are in this state
    #[arg(long, value_parser = ["active", "expired", "removed", "all"])]
    state: Option<String>,
    /// Only those that end within so many days
    #[arg(long, value_name = "DAYS")]
    expires_within: Option<u32>,
    /// Show no more than this many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Accepts the risk of findings and says what became of each.
pub fn accept(args: &AcceptArgs) -> anyhow::Result<()> {
    let client = args.server.client()?;
    let mut body = json!({"ids": args.findings, "justification": args.justification});
    let given = [
        ("name", args.name.as_ref().map(|text| json!(text))),
        (
            "accepted_by",
            args.accepted_by.as_ref().map(|text| json!(text)),
        ),
        ("expires_in_days", args.expires.map(|days| json!(days))),
        ("never", args.never_expires.then_some(json!(true))),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            body[name] = value;
        }
    }
    let answer = client.post("risk_acceptance/bulk/", &body)?;
    if !matches!(answer.status, 200..=202) {
        return Err(client.refusal(&answer));
    }
    if args.json {
        return table::print_json(&answer.body);
    }
    let results = answer.body["results"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let mut refused = 0;
    for result in &results {
        let said = result["message"].as_str().map(|text| format!(": {text}"));
        let what = result["result"].as_str().unwrap_or("asked for");
        refused += u32::from(matches!(what, "refused" | "missing"));
        table::print_line(&format!(
            "{} {what}{}",
            result["id"],
            said.unwrap_or_default()
        ))?;
    }
    if refused > 0 {
        bail!("{refused} of {} findings were not accepted", results.len());
    }
    Ok(())
}

/// Lists acceptances.
pub fn list(args: &AcceptancesArgs) -> anyhow::Result<()> {
    let client = args.server.client()?;
    let mut query = Vec::new();
    query.extend(args.state.clone().map(|state| ("state", state)));
    query.extend(
        args.expires_within
            .map(|days| ("expires_within", days.to_string())),
    );
    let (count, all) = client.list("risk_acceptance/", &query, args.limit)?;
    if args.json {
        return table::print_json(&json!({"count": count, "results": all}));
    }
    let mut table = Table::new(["Id", "Name", "Findings", "Accepted by", "Ends", "Ended"])
        .one_line()
        .right(&[0, 2])
        .whole(&[0, 2, 4, 5]);
    for acceptance in &all {
        let text = |name: &str| acceptance[name].as_str().unwrap_or_default().to_owned();
        let day = |name: &str| text(name).chars().take(10).collect::<String>();
        let findings = acceptance["accepted_findings"]
            .as_array()
            .map_or(0, Vec::len);
        let ends = match &acceptance["expiration_date"] {
            Value::Null => "never".to_owned(),
            _ => day("expiration_date"),
        };
        table.row([
            acceptance["id"].to_string(),
            text("name"),
            findings.to_string(),
            text("accepted_by"),
            ends,
            day("expiration_date_handled"),
        ]);
    }
    if !all.is_empty() {
        table.print()?;
    }
    table::print_line(&match count {
        0 => "No risk acceptances.".to_owned(),
        1 => "1 risk acceptance.".to_owned(),
        count => format!("{count} risk acceptances."),
    })
}
