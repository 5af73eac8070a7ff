//! `tatami import`: reports to a Tatami, and what became of them.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};
use tatami_domain::{GroupBy, Severity, parse_bool, parse_date};

use super::findings::severity;
use crate::client::{Answer, Client, Report, ServerArgs};
use crate::table::{self, Table, plain};

const COLUMNS_HELP: &str = "\
The table tells of each import how many findings are new (and how many of those duplicates of others), \
closed, back again and the same as before, how many records could not be read, and how many findings of \
its test are open: critical, high, medium, low, info.";

#[derive(Args)]
#[command(after_help = COLUMNS_HELP)]
pub struct ImportArgs {
    /// The reports
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
    /// The product's name
    #[arg(long, value_name = "NAME")]
    product: Option<String>,
    /// The engagement's name
    #[arg(long, value_name = "NAME")]
    engagement: Option<String>,
    /// The product type's name, where the product is made
    #[arg(long, value_name = "NAME")]
    product_type: Option<String>,
    /// The engagement's id, instead of names
    #[arg(long, value_name = "ID")]
    engagement_id: Option<u64>,
    /// The id of the test that the findings go into
    #[arg(long, value_name = "ID")]
    test: Option<u64>,
    /// The title of the test
    #[arg(long, value_name = "TITLE")]
    test_title: Option<String>,
    /// The scan type; recognised by the report's content where it isn't given
    #[arg(long, value_name = "NAME")]
    scan_type: Option<String>,
    /// Hold the reports against what their tests have: new, gone, back again
    #[arg(long)]
    reimport: bool,
    /// Fail where product, engagement or test don't exist, instead of making them
    #[arg(long)]
    no_auto_create: bool,
    /// Where the scanned system runs, such as Production
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// The version that was scanned
    #[arg(long)]
    version: Option<String>,
    /// The build that was scanned
    #[arg(long, value_name = "ID")]
    build_id: Option<String>,
    /// The branch or tag that was scanned
    #[arg(long, value_name = "NAME")]
    branch_tag: Option<String>,
    /// The commit that was scanned
    #[arg(long, value_name = "HASH")]
    commit_hash: Option<String>,
    /// Tags of the test
    #[arg(long, value_delimiter = ',')]
    tags: Vec<String>,
    /// The part of the product that was scanned; other parts' findings aren't closed
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Leave out what is less severe
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    minimum_severity: Option<Severity>,
    /// The day of the scan
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    scan_date: Option<String>,
    /// Are the findings active, whatever the report says?
    #[arg(long, value_name = "BOOL", value_parser = boolean)]
    active: Option<bool>,
    /// Are the findings verified, whatever the report says?
    #[arg(long, value_name = "BOOL", value_parser = boolean)]
    verified: Option<bool>,
    /// Close findings that the report no longer has [default: true with --reimport]
    #[arg(long, value_name = "BOOL", value_parser = boolean)]
    close_old_findings: Option<bool>,
    /// Put new findings into groups by what they have in common
    #[arg(long, value_name = "FIELD", value_parser = PossibleValuesParser::new(GroupBy::NAMES))]
    group_by: Option<String>,
    /// Leave closed what was closed, though the report has it again
    #[arg(long)]
    do_not_reactivate: bool,
    /// Bring what is new or back again into JIRA
    #[arg(long)]
    push_to_jira: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Reports above this many bytes go straight into the bucket by a presigned PUT. Lambda takes requests
/// of 6 MB, and API Gateway hands it binary ones a third longer than they are.
const BIG: u64 = 4 * 1024 * 1024;
/// The pauses between two looks at an import: the first and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How long an import may take before we stop watching it.
const PATIENCE: Duration = Duration::from_hours(1);
/// How often in a row a look at an import may fail.
const FAILED_LOOKS: u32 = 5;
/// How many warnings of one import are shown.
const WARNINGS: usize = 20;

/// What is asked for with a report.
pub struct Job<'a> {
    pub reimport: bool,
    /// The REST API's names and values.
    pub fields: &'a [(&'a str, String)],
}

/// Imports each file and says whether all went well. What went wrong is printed already.
pub fn run(args: &ImportArgs) -> anyhow::Result<bool> {
    let named = args.product.is_some() && args.engagement.is_some();
    if !named && args.engagement_id.is_none() && args.test.is_none() {
        bail!(
            "say where the report goes: --product NAME and --engagement NAME, or --engagement-id ID, \
             or --test ID"
        );
    }
    let client = args.server.client()?;
    let fields = fields(args);
    let job = Job {
        reimport: args.reimport,
        fields: &fields,
    };
    let mut outcomes = Vec::new();
    for path in &args.files {
        let name = path.display().to_string();
        let bar = progress(&short(&name));
        let result = import_file(&client, &job, path, &bar);
        bar.finish_and_clear();
        outcomes.push(Outcome::new(name, result));
    }
    report(&outcomes, args.json)?;
    Ok(outcomes.iter().all(|outcome| outcome.failure.is_none()))
}

/// How the import of one file went.
pub struct Outcome {
    file: String,
    /// The import's record, where it came so far.
    record: Option<Value>,
    /// Why it failed, as an import's record says it.
    failure: Option<Value>,
}

impl Outcome {
    pub fn new(file: String, result: anyhow::Result<Value>) -> Self {
        let (record, failure) = match result {
            Ok(record) if record["state"] == "failed" => {
                let failure = match &record["error"] {
                    Value::Null => json!({"message": "the import failed"}),
                    error => error.clone(),
                };
                (Some(record), Some(failure))
            }
            Ok(record) => (Some(record), None),
            Err(error) => (None, Some(json!({"message": format!("{error:#}")}))),
        };
        Self {
            file,
            record,
            failure,
        }
    }

    fn as_json(&self) -> Value {
        let mut value = self
            .record
            .clone()
            .unwrap_or_else(|| json!({"state": "failed"}));
        value["file"] = json!(self.file);
        if let Some(failure) = &self.failure {
            value["error"] = failure.clone();
        }
        value
    }

    /// The failure as a sentence.
    pub fn failure(&self) -> Option<String> {
        let failure = self.failure.as_ref()?;
        let message = failure["message"].as_str().unwrap_or("the import failed");
        let place = match (failure["line"].as_u64(), failure["column"].as_u64()) {
            (Some(line), Some(column)) => format!(" at line {line}, column {column}"),
            (Some(line), None) => format!(" at line {line}"),
            (None, _) => String::new(),
        };
        let hint = failure["hint"].as_str().map(|hint| format!("; {hint}"));
        let hint = hint.unwrap_or_default();
        Some(plain(&format!("{}: {message}{place}{hint}", self.file)))
    }

    fn cells(&self) -> Option<[String; 11]> {
        let record = self.record.as_ref().filter(|_| self.failure.is_none())?;
        let count = |name: &str| record["counts"][name].as_u64().unwrap_or(0).to_string();
        let after = &record["statistics"]["after"];
        let open: Vec<String> = (Severity::ALL.iter())
            .map(|severity| {
                after[severity.name().to_lowercase()]["active"]
                    .as_i64()
                    .unwrap_or(0)
                    .to_string()
            })
            .collect();
        Some([
            short(&self.file),
            text(&record["import_id"]),
            text(&record["scan_type"]),
            text(&record["test_id"]),
            count("created"),
            count("duplicates"),
            count("closed"),
            count("reactivated"),
            count("untouched"),
            record["warnings_total"].as_u64().unwrap_or(0).to_string(),
            open.join("/"),
        ])
    }

    fn warnings(&self) -> Vec<String> {
        let Some(record) = &self.record else {
            return Vec::new();
        };
        let list = record["warnings"].as_array().map_or(&[][..], Vec::as_slice);
        let total = record["warnings_total"].as_u64().unwrap_or(0);
        let mut lines: Vec<String> = (list.iter().take(WARNINGS))
            .map(|w| {
                plain(&format!(
                    "{}: {}: {}",
                    self.file,
                    text(&w["record"]),
                    text(&w["message"])
                ))
            })
            .collect();
        let untold = total.saturating_sub(lines.len() as u64);
        if untold > 0 {
            lines.push(format!(
                "{}: and {untold} more records were left out",
                self.file
            ));
        }
        lines
    }
}

/// Prints how the imports went.
pub fn report(outcomes: &[Outcome], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        table::print_json(&outcomes.iter().map(Outcome::as_json).collect::<Value>())?;
    } else {
        let columns = [
            "File",
            "Import",
            "Scan type",
            "Test",
            "New",
            "Dup",
            "Closed",
            "Back",
            "Same",
            "Warn",
            "C/H/M/L/I",
        ];
        let numbers = [1, 3, 4, 5, 6, 7, 8, 9, 10];
        let mut table = Table::new(columns)
            .one_line()
            .right(&numbers)
            .whole(&numbers);
        let rows: Vec<_> = outcomes.iter().filter_map(Outcome::cells).collect();
        let some = !rows.is_empty();
        for row in rows {
            table.row(row);
        }
        if some {
            table.print()?;
        }
        for warning in outcomes.iter().flat_map(Outcome::warnings) {
            eprintln!("warning: {warning}");
        }
    }
    for failure in outcomes.iter().filter_map(Outcome::failure) {
        eprintln!("error: {failure}");
    }
    Ok(())
}

/// A path without its folders.
fn short(path: &str) -> String {
    let name = Path::new(path).file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn import_file(
    client: &Client,
    job: &Job<'_>,
    path: &Path,
    bar: &ProgressBar,
) -> anyhow::Result<Value> {
    let mut file = File::open(path).context("cannot open the file")?;
    let about = file.metadata().context("cannot read the file")?;
    if about.is_dir() {
        bail!("this is a folder, not a report");
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    import(client, job, &name, about.len(), &mut file, bar)
}

/// Sends one report and waits until it is in or refused; gives the import's record.
pub fn import(
    client: &Client,
    job: &Job<'_>,
    name: &str,
    size: u64,
    source: &mut (impl Read + Seek),
    bar: &ProgressBar,
) -> anyhow::Result<Value> {
    if size == 0 {
        bail!("the file is empty");
    }
    bar.set_length(size);
    if size > BIG {
        return upload(client, job, name, size, source, bar);
    }
    let path = if job.reimport {
        "reimport-scan/"
    } else {
        "import-scan/"
    };
    let report = Report {
        name,
        size,
        bytes: &mut bar.wrap_read(&mut *source),
    };
    let answer = client.post_form(path, job.fields, report)?;
    if answer.status == 413 {
        // a gateway on the way takes less than we do
        source.rewind().context("cannot read the file again")?;
        bar.reset();
        return upload(client, job, name, size, source, bar);
    }
    match (answer.status, answer.body["import_id"].as_u64()) {
        (201 | 202 | 400, Some(id)) => watch(client, id, bar),
        (200..300, _) => Err(anyhow!("the answer has no import id: is this a Tatami?")),
        _ => Err(client.refusal(&answer)),
    }
}

/// Sends a report past the API, straight into the bucket.
fn upload(
    client: &Client,
    job: &Job<'_>,
    name: &str,
    size: u64,
    source: &mut impl Read,
    bar: &ProgressBar,
) -> anyhow::Result<Value> {
    let mut body: Map<String, Value> = job
        .fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    body.insert("file_name".into(), json!(name));
    body.insert("reimport".into(), json!(job.reimport));
    let answer = client.post("uploads/", &Value::Object(body))?;
    let Answer { status: 201, body } = &answer else {
        return Err(client.refusal(&answer));
    };
    let (Some(id), Some(url)) = (body["import_id"].as_u64(), body["url"].as_str()) else {
        bail!("the answer has no upload address: is this a Tatami?");
    };
    let none = Map::new();
    let report = Report {
        name,
        size,
        bytes: &mut bar.wrap_read(source),
    };
    client.put(url, body["headers"].as_object().unwrap_or(&none), report)?;
    watch(client, id, bar)
}

/// Waits for an import to end; gives its record.
fn watch(client: &Client, id: u64, bar: &ProgressBar) -> anyhow::Result<Value> {
    if let Ok(style) = ProgressStyle::with_template("{prefix} {spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(PAUSE.0);
    let start = Instant::now();
    let mut pause = PAUSE.0;
    let mut failed = 0;
    loop {
        let looked = client
            .get(&format!("imports/{id}/"), &[])
            .and_then(|answer| match answer.status {
                200 => Ok(answer.body),
                _ => Err(client.refusal(&answer)),
            });
        match looked {
            Ok(record) => {
                failed = 0;
                let state = record["state"].as_str().unwrap_or_default();
                if matches!(state, "done" | "failed") {
                    return Ok(record);
                }
                bar.set_message(format!("import {id} is {state}"));
                if start.elapsed() > PATIENCE {
                    bail!(
                        "import {id} is still {state} after {} minutes",
                        PATIENCE.as_secs() / 60
                    );
                }
            }
            Err(error) => {
                failed += 1;
                if failed >= FAILED_LOOKS {
                    return Err(error.context(format!("cannot learn how import {id} goes")));
                }
            }
        }
        std::thread::sleep(pause);
        pause = (pause * 3 / 2).min(PAUSE.1);
    }
}

/// A bar on standard error; none where that is no terminal.
fn progress(name: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    let template = "{prefix} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix(plain(name));
    bar
}

fn fields(args: &ImportArgs) -> Vec<(&'static str, String)> {
    let yes = |flag: bool| flag.then(|| true.to_string());
    let tags = Some(args.tags.join(",")).filter(|tags| !tags.is_empty());
    // With a test nothing is left to be made.
    let auto_create = !args.no_auto_create && args.test.is_none();
    let fields = [
        ("product_name", args.product.clone()),
        ("engagement_name", args.engagement.clone()),
        ("product_type_name", args.product_type.clone()),
        ("engagement", args.engagement_id.map(|id| id.to_string())),
        ("test", args.test.map(|id| id.to_string())),
        ("test_title", args.test_title.clone()),
        ("scan_type", args.scan_type.clone()),
        ("auto_create_context", yes(auto_create)),
        ("environment", args.environment.clone()),
        ("version", args.version.clone()),
        ("build_id", args.build_id.clone()),
        ("branch_tag", args.branch_tag.clone()),
        ("commit_hash", args.commit_hash.clone()),
        ("tags", tags),
        ("service", args.service.clone()),
        (
            "minimum_severity",
            args.minimum_severity.map(|s| s.name().to_owned()),
        ),
        ("scan_date", args.scan_date.clone()),
        ("active", args.active.map(|b| b.to_string())),
        ("verified", args.verified.map(|b| b.to_string())),
        (
            "close_old_findings",
            args.close_old_findings.map(|b| b.to_string()),
        ),
        ("group_by", args.group_by.clone()),
        ("do_not_reactivate", yes(args.do_not_reactivate)),
        ("push_to_jira", yes(args.push_to_jira)),
    ];
    fields
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

fn boolean(text: &str) -> Result<bool, String> {
    parse_bool(text).ok_or_else(|| format!("\"{text}\" is not a boolean: use true or false"))
}

fn day(text: &str) -> Result<String, String> {
    let day =
        parse_date(text).ok_or_else(|| format!("\"{text}\" is not a date: use YYYY-MM-DD"))?;
    Ok(day.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_say_where_and_what_to_do() {
        let record = json!({"state": "failed", "import_id": 4, "error": {
            "message": "the report ends too early", "line": 3, "column": 7, "hint": "upload it again",
        }});
        let outcome = Outcome::new("r.json".into(), Ok(record));
        assert_eq!(
            outcome.failure().unwrap(),
            "r.json: the report ends too early at line 3, column 7; upload it again"
        );
        assert_eq!(outcome.cells(), None);
        assert_eq!(outcome.as_json()["import_id"], 4);
        let outcome = Outcome::new("r.json".into(), Err(anyhow!("b").context("a")));
        assert_eq!(outcome.as_json()["error"]["message"], "a: b");
    }

    #[test]
    fn rows_have_the_numbers() {
        let record = json!({
            "state": "done", "import_id": 4, "scan_type": "SARIF", "test_id": 9,
            "counts": {"created": 5, "duplicates": 2, "closed": 1, "reactivated": 0, "untouched": 3},
            "warnings_total": 3, "warnings": [{"record": "row 1", "message": "no\ntitle"}],
            "statistics": {"after": {"critical": {"active": 1}, "info": {"active": 4}}},
        });
        let outcome = Outcome::new("r".into(), Ok(record));
        assert_eq!(
            outcome.cells().unwrap(),
            [
                "r",
                "4",
                "SARIF",
                "9",
                "5",
                "2",
                "1",
                "0",
                "3",
                "3",
                "1/0/0/0/4"
            ]
        );
        assert_eq!(
            outcome.warnings(),
            ["r: row 1: no title", "r: and 2 more records were left out"]
        );
    }
}
