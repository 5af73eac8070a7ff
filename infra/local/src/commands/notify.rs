//! `tatami notify`: do messages arrive, and what became of those that were sent?

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::client::{Client, ServerArgs};
use crate::table::{self, Table};

const CHANNELS: [&str; 5] = ["alert", "mail", "slack", "msteams", "webhooks"];
const STATES: [&str; 5] = ["waiting", "collected", "sent", "skipped", "dead"];
/// How often it's looked whether a test message has arrived.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Args)]
pub struct NotifyArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Send a test message and wait until it's delivered or given up
    Test(TestArgs),
    /// List the messages of the last 90 days, latest first
    Deliveries(DeliveriesArgs),
    /// Send again what was given up
    Replay(ReplayArgs),
}

#[derive(Args)]
struct TestArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Over which channel; a webhook by --webhook
    #[arg(long, value_parser = ["alert", "mail", "slack", "msteams"], required_unless_present = "webhook")]
    channel: Option<String>,
    /// To which user, or to the channel of the "system"; to oneself where it's left out
    #[arg(long, value_name = "USERNAME", conflicts_with = "webhook")]
    to: Option<String>,
    /// To this webhook
    #[arg(long, value_name = "ID", conflicts_with = "channel")]
    webhook: Option<u64>,
    /// Wait no longer than so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,
}

#[derive(Args)]
struct FilterArgs {
    /// Only over this channel
    #[arg(long, value_parser = CHANNELS)]
    channel: Option<String>,
    /// Only of this topic, such as `scan_added`
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Only to this webhook
    #[arg(long, value_name = "ID")]
    webhook: Option<u64>,
}

#[derive(Args)]
struct DeliveriesArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Only those in this state
    #[arg(long, value_parser = STATES)]
    state: Option<String>,
    /// Show no more than this many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ReplayArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// These messages
    #[arg(value_name = "DELIVERY")]
    ids: Vec<u64>,
    /// All that were given up and pass the filter
    #[arg(long, conflicts_with = "ids", required_unless_present = "ids")]
    all: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

impl FilterArgs {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let webhook = self.webhook.map(|id| id.to_string());
        let all = [
            ("channel", self.channel.clone()),
            ("topic", self.topic.clone()),
            ("webhook", webhook),
        ];
        let given = all.into_iter();
        given
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

/// Does what is asked for.
pub fn run(args: &NotifyArgs) -> anyhow::Result<()> {
    match &args.what {
        What::Test(args) => test(args),
        What::Deliveries(args) => deliveries(args),
        What::Replay(args) => replay(args),
    }
}

fn text<'v>(of: &'v Value, name: &str) -> &'v str {
    of[name].as_str().unwrap_or_default()
}

fn get(client: &Client, path: &str) -> anyhow::Result<Value> {
    let answer = client.get(path, &[])?;
    match answer.status {
        200 => Ok(answer.body),
        _ => Err(client.refusal(&answer)),
    }
}

fn test(args: &TestArgs) -> anyhow::Result<()> {
    let client = args.server.client()?;
    let answer = if let Some(webhook) = args.webhook {
        let path = format!("notification_webhooks/{webhook}/test/");
        client.post(&path, &json!({}))?
    } else {
        let mut body = json!({"channel": args.channel});
        if let Some(to) = &args.to {
            body["to"] = json!(to);
        }
        client.post("notifications/test/", &body)?
    };
    if answer.status != 202 {
        return Err(client.refusal(&answer));
    }
    let id = answer.body["delivery"].as_u64();
    let id = id.ok_or_else(|| anyhow!("the server doesn't say which message it made"))?;
    // who sees the log of messages can wait for this one
    let path = format!("notification_deliveries/{id}/");
    let until = Instant::now() + Duration::from_secs(args.wait);
    loop {
        let answer = client.get(&path, &[])?;
        if answer.status == 403 {
            let line = format!("Message {id} is on its way; only administrators see how it goes.");
            return table::print_line(&line);
        }
        if answer.status != 200 {
            return Err(client.refusal(&answer));
        }
        let delivery = answer.body;
        match text(&delivery, "state") {
            "sent" => return table::print_line(&format!("Message {id} was delivered.")),
            "collected" => {
                let line = format!("Message {id} waits for the next digest.");
                return table::print_line(&line);
            }
            state @ ("dead" | "skipped") => {
                bail!("message {id} is {state}: {}", text(&delivery, "error"))
            }
            state if Instant::now() >= until => {
                let error = text(&delivery, "error");
                let why = match error {
                    "" => "nothing has gone wrong yet",
                    error => error,
                };
                bail!("message {id} is still {state} after {} s: {why}", args.wait)
            }
            _ => sleep(LOOK),
        }
    }
}

fn deliveries(args: &DeliveriesArgs) -> anyhow::Result<()> {
    let client = args.server.client()?;
    let mut query = args.filter.pairs();
    query.extend(args.state.clone().map(|state| ("state", state)));
    let (count, all) = client.list("notification_deliveries/", &query, args.limit)?;
    if args.json {
        return table::print_json(&json!({"count": count, "results": all}));
    }
    let mut table = Table::new([
        "Id", "Created", "Channel", "To", "State", "Tries", "Title", "Error",
    ])
    .one_line()
    .right(&[0, 5])
    .whole(&[0, 2, 3, 4, 5]);
    for delivery in &all {
        let to = match (delivery["user"].as_u64(), delivery["webhook"].as_u64()) {
            (Some(user), _) => format!("user {user}"),
            (_, Some(webhook)) => format!("webhook {webhook}"),
            (None, None) => "system".to_owned(),
        };
        let created: String = text(delivery, "created").chars().take(19).collect();
        table.row([
            delivery["id"].to_string(),
            created,
            text(delivery, "channel").to_owned(),
            to,
            text(delivery, "state").to_owned(),
            delivery["tries"].to_string(),
            text(delivery, "title").to_owned(),
            text(delivery, "error").to_owned(),
        ]);
    }
    if !all.is_empty() {
        table.print()?;
    }
    let shown = all.len() as u64;
    table::print_line(&match count {
        0 => "No messages.".to_owned(),
        count if shown < count => format!("{shown} of {count} messages; --limit shows more."),
        1 => "1 message.".to_owned(),
        count => format!("{count} messages."),
    })
}

fn replay(args: &ReplayArgs) -> anyhow::Result<()> {
    let client = args.server.client()?;
    if args.all {
        let filter = args.filter.pairs().into_iter();
        let filter: serde_json::Map<String, Value> = filter
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        let mut replayed = 0;
        loop {
            let body = json!({"filter": filter});
            let answer = client.post("notification_deliveries/replay/", &body)?;
            if answer.status != 202 {
                return Err(client.refusal(&answer));
            }
            let some = answer.body["replayed"].as_u64().unwrap_or_default();
            replayed += some;
            if some == 0 || answer.body["left"] == 0 {
                return table::print_line(&format!("{replayed} messages are sent again."));
            }
        }
    }
    for id in &args.ids {
        let path = format!("notification_deliveries/{id}/");
        let answer = client.post(&format!("{path}replay/"), &json!({}))?;
        if answer.status != 202 {
            return Err(client.refusal(&answer));
        }
        let delivery = get(&client, &path)?;
        let (channel, title) = (text(&delivery, "channel"), text(&delivery, "title"));
        table::print_line(&format!("Message {id} ({channel}) is sent again: {title}"))?;
    }
    Ok(())
}
