//! `tatami jira`: how it stands with JIRA, and bringing findings there.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::findings::filter;
use crate::client::{Client, ServerArgs};
use crate::table::{self, Table};

/// The pause between two looks at an order.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Args)]
pub struct JiraArgs {
    #[command(subcommand)]
    command: JiraCommand,
}

#[derive(Subcommand)]
enum JiraCommand {
    /// Try the connection to a JIRA
    Test(TestArgs),
    /// Bring findings into JIRA, or up to date there
    Push(PushArgs),
    /// List the JIRAs, and how it stands with each
    Status(StatusArgs),
}

#[derive(Args)]
struct TestArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The instance
    #[arg(value_name = "NAME or ID")]
    instance: String,
    /// Look at this project too: its issue types and fields
    #[arg(long, value_name = "KEY")]
    project: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct PushArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Findings
    #[arg(long, value_name = "ID", value_delimiter = ',', num_args = 1..)]
    finding: Vec<u64>,
    /// Finding groups, each as one issue
    #[arg(long, value_name = "ID", value_delimiter = ',', num_args = 1..)]
    group: Vec<u64>,
    /// All findings that pass filters of the REST API's list, such as `severity=Critical`
    #[arg(long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<(String, String)>,
    /// A priority in the place of that of the severity
    #[arg(long, value_name = "NAME")]
    priority: Option<String>,
    /// An assignee in the place of the project's
    #[arg(long, value_name = "USER")]
    assignee: Option<String>,
    /// A comment on each; {title}, {severity}, {id} and {url} are filled in
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Wait no longer than this for what becomes of it
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    wait: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct StatusArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Does it.
pub fn run(args: &JiraArgs) -> anyhow::Result<()> {
    match &args.command {
        JiraCommand::Test(args) => test(args),
        JiraCommand::Push(args) => push(args),
        JiraCommand::Status(args) => status(args),
    }
}

/// All instances.
fn instances(client: &Client) -> anyhow::Result<Vec<Value>> {
    Ok(client.list("jira_instances/", &[], usize::MAX)?.1)
}

fn text<'v>(of: &'v Value, name: &str) -> &'v str {
    of[name].as_str().unwrap_or_default()
}

/// What people call an instance.
fn name_of(instance: &Value) -> &str {
    match text(instance, "configuration_name") {
        "" => text(instance, "url"),
        name => name,
    }
}

fn test(args: &TestArgs) -> anyhow::Result<()> {
    let client = args.server.client()?;
    let all = instances(&client)?;
    let named = |one: &&Value| {
        one["id"].as_u64().map(|id| id.to_string()).as_ref() == Some(&args.instance)
            || name_of(one).eq_ignore_ascii_case(&args.instance)
    };
    let Some(instance) = all.iter().find(named) else {
        let there: Vec<&str> = all.iter().map(name_of).collect();
        bail!(
            "there is no JIRA \"{}\"; there are: {}",
            args.instance,
            there.join(", ")
        );
    };
    let path = format!("jira_instances/{}/test_connection/", instance["id"]);
    let body = match &args.project {
        Some(key) => json!({"project_key": key}),
        None => json!({}),
    };
    let answer = client.post(&path, &body)?;
    if answer.status != 200 {
        return Err(client.refusal(&answer));
    }
    if args.json {
        table::print_json(&answer.body)?;
    }
    let checks = answer.body["checks"].as_array().cloned();
    let checks = checks.unwrap_or_default();
    let mut failed = 0;
    for check in &checks {
        let ok = check["ok"] == json!(true);
        failed += u32::from(!ok);
        if !args.json {
            let word = if ok { "ok    " } else { "failed" };
            let (what, said) = (text(check, "check"), text(check, "message"));
            table::print_line(&format!("{word}  {what}: {said}"))?;
        }
    }
    if failed > 0 {
        bail!("{failed} of {} checks failed", checks.len());
    }
    Ok(())
}

fn push(args: &PushArgs) -> anyhow::Result<()> {
    if args.finding.is_empty() && args.group.is_empty() && args.filter.is_empty() {
        bail!("say which findings: --finding, --group or --filter");
    }
    let client = args.server.client()?;
    let mut body = json!({"findings": args.finding, "finding_groups": args.group});
    if !args.filter.is_empty() {
        let pairs = args.filter.iter();
        let filter: Map<String, Value> = pairs
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        body["filter"] = Value::Object(filter);
    }
    let given = [
        ("priority", &args.priority),
        ("assignee", &args.assignee),
        ("comment", &args.comment),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            body[name] = json!(value);
        }
    }
    let answer = client.post("jira_pushes/", &body)?;
    if answer.status != 202 {
        return Err(client.refusal(&answer));
    }
    let push = finished(&client, answer.body, Duration::from_secs(args.wait))?;
    if args.json {
        table::print_json(&push)?;
    }
    let results = push["results"].as_array().cloned().unwrap_or_default();
    let mut refused = 0;
    for result in &results {
        let done = result["done"] == json!(true);
        let said = match (text(result, "error"), text(result, "jira_key")) {
            ("", key) if done => key,
            ("", _) => "waits",
            (error, _) => error,
        };
        refused += u32::from(!text(result, "error").is_empty());
        if !args.json {
            let (model, id) = (text(result, "model"), &result["id"]);
            table::print_line(&format!("{} {id}: {said}", model.replace('_', " ")))?;
        }
    }
    if refused > 0 {
        bail!(
            "{refused} of {} are not in JIRA as asked for",
            results.len()
        );
    }
    if push["finished"].is_null() {
        let id = &push["id"];
        bail!("it isn't done yet; GET /api/v2/jira_pushes/{id}/ says what becomes of it");
    }
    Ok(())
}

/// An order when it's done, or when that takes too long.
fn finished(client: &Client, mut push: Value, wait: Duration) -> anyhow::Result<Value> {
    let start = Instant::now();
    while push["finished"].is_null() && start.elapsed() < wait {
        sleep(PAUSE);
        let answer = client.get(&format!("jira_pushes/{}/", push["id"]), &[])?;
        if answer.status != 200 {
            return Err(client.refusal(&answer));
        }
        push = answer.body;
    }
    Ok(push)
}

fn status(args: &StatusArgs) -> anyhow::Result<()> {
    let client = args.server.client()?;
    let mut all = instances(&client)?;
    for instance in &mut all {
        let answer = client.get(&format!("jira_instances/{}/status/", instance["id"]), &[])?;
        if answer.status != 200 {
            return Err(client.refusal(&answer));
        }
        let Value::Object(instance) = instance else {
            return Err(anyhow!("an instance that is no object"));
        };
        instance.insert("status".into(), answer.body);
    }
    if args.json {
        return table::print_json(&all);
    }
    let mut table = Table::new(["Id", "Name", "Address", "Status", "Reconciled"])
        .one_line()
        .right(&[0])
        .whole(&[0, 4]);
    for instance in &all {
        let status = &instance["status"];
        let stands = if !status["refused"].is_null() {
            format!("refused: {}", text(status, "reason"))
        } else if status["paused_until"].is_null() {
            "ok".to_owned()
        } else {
            format!("paused until {}", text(status, "paused_until"))
        };
        table.row([
            instance["id"].to_string(),
            name_of(instance).to_owned(),
            text(instance, "url").to_owned(),
            stands,
            text(status, "reconciled").to_owned(),
        ]);
    }
    if all.is_empty() {
        return table::print_line("No JIRA is set up: see docs/jira.md.");
    }
    table.print()
}
