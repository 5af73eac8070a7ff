//! What imports and lists take, through `tatami serve` as a process of its own.
//!
//! ```sh
//! cargo build --release && cargo bench -p tatami-tests
//! cargo bench -p tatami-tests -- 1000        # another number of findings
//! ```
//!
//! CPU and peak memory are those of the server process as the kernel accounts for them (Linux). Times
//! depend on the machine; requests and write units don't, and are asserted by `tests/it/budgets.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement that fails shall stop"
)]

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tatami_tests::{Client, Local, generic_report};
use tempfile::TempDir;

const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";
/// What DefectDojo 3.2 took for 10,000 findings on a machine of two cores, for the ratios.
struct Peer {
    findings_per_s: f64,
    cpu_ms: f64,
}
const PEER_NEW: Peer = Peer {
    findings_per_s: 118.0,
    cpu_ms: 10.9,
};
const PEER_UNCHANGED: Peer = Peer {
    findings_per_s: 403.0,
    cpu_ms: 2.4,
};
const PEER_DUPLICATES: Peer = Peer {
    findings_per_s: 66.0,
    cpu_ms: 15.4,
};
/// Its list of 50 at 10,000 findings, and its peak memory in the import.
const PEER_LIST_P50_MS: f64 = 255.0;
const PEER_PEAK_MB: f64 = 1.1 * 1024.0;

/// How often the list is asked for, and how often by each filter.
const LISTS: usize = 200;
const FILTERED: usize = 50;

struct Server {
    child: Child,
    client: Client,
    _data: TempDir,
}

impl Server {
    fn start() -> Self {
        let data = TempDir::new().unwrap();
        let mut child = Command::new(binary())
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data.path())
            .env("TATAMI_ADMIN_TOKEN", TOKEN)
            .stdout(Stdio::piped())
            .spawn()
            .expect("build it first: cargo build --release");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = loop {
            let line = lines.next().expect("the server says where it is").unwrap();
            if let Some(at) = line.find("http://") {
                break line[at..].split_whitespace().next().unwrap().to_owned();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            client: Client::new(url, TOKEN),
            _data: data,
        }
    }

    /// CPU time used so far, in milliseconds.
    fn cpu_ms(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        ticks * 10.0 // Linux counts in hundredths of a second
    }

    fn peak_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<f64>()
            .unwrap()
            / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn binary() -> PathBuf {
    // target/release/deps/pipeline-… -> target/release/tatami
    let own = std::env::current_exe().unwrap();
    own.parent().unwrap().parent().unwrap().join("tatami")
}

async fn measure(server: &Server, name: &str, endpoint: &str, n: usize, peer: &Peer) {
    let report = generic_report(0, n);
    let (cpu, started) = (server.cpu_ms(), Instant::now());
    let import = server
        .client
        .import(endpoint, &[], "report.json", report)
        .await;
    let took = started.elapsed().as_secs_f64();
    assert_eq!(import["state"], "done", "{import:#}");
    // folding the counts and reckoning the SLA come after the answer, and count as well
    tokio::time::sleep(Duration::from_millis(800)).await;
    let cpu = (server.cpu_ms() - cpu) / n as f64;
    let rate = n as f64 / took;
    let peak = server.peak_mb();
    println!(
        "{name:<20} {n:>6} findings {rate:>6.0} findings/s ({:>4.1}x) {cpu:>6.3} CPU ms each ({:>4.1}x) \
         peak {peak:>4.0} MB ({:>4.1}x)",
        rate / peer.findings_per_s,
        peer.cpu_ms / cpu,
        PEER_PEAK_MB / peak,
    );
}

/// How long a list takes, of `times` requests: p50 and p99 in milliseconds.
async fn took(server: &Server, path: &str, times: usize) -> (f64, f64) {
    let mut took = Vec::new();
    for _ in 0..times {
        let started = Instant::now();
        server.client.get(path).await.expect(200);
        took.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    took.sort_by(f64::total_cmp);
    (took[times / 2], took[times * 99 / 100])
}

/// A query, with p50 and p99 in milliseconds.
type Timed = (String, (f64, f64));

async fn lists(server: &Server) {
    let (p50, p99) = took(server, "findings/?limit=50", LISTS).await;
    println!(
        "list of 50           {LISTS:>6} requests p50 {p50:.1} ms ({:.1}x) p99 {p99:.1} ms",
        PEER_LIST_P50_MS / p50,
    );
    let mut filters: Vec<Timed> = Vec::new();
    for query in filters_and_columns(server).await {
        let path = format!("findings/?limit=50&{query}");
        if server.client.get(&path).await.status != 200 {
            continue;
        }
        filters.push((query, took(server, &path, FILTERED).await));
    }
    let slowest = |of: fn(&(f64, f64)) -> f64| {
        let slower = |a: &&Timed, b: &&Timed| of(&a.1).total_cmp(&of(&b.1));
        filters.iter().max_by(slower).expect("filters")
    };
    let (by_p50, (p50, _)) = slowest(|times| times.0);
    let (by_p99, (_, p99)) = slowest(|times| times.1);
    println!(
        "each of {} filters and columns, {FILTERED} requests: slowest p50 {p50:.1} ms ({by_p50}), p99 {p99:.1} ms \
         ({by_p99})",
        filters.len(),
    );
    for path in [
        "metrics/dashboard/",
        "metrics/?step=week",
        "sla_breaches/?limit=50",
    ] {
        let (p50, p99) = took(server, path, FILTERED).await;
        println!("{path:<20} {FILTERED:>6} requests p50 {p50:.1} ms p99 {p99:.1} ms");
    }
}

/// Every parameter of the list of findings with a value of its kind, and every column to order by.
async fn filters_and_columns(server: &Server) -> Vec<String> {
    let document = server.client.get("oa3/schema/").await.expect(200);
    let parameters = &document["paths"]["/api/v2/findings/"]["get"]["parameters"];
    let filter = |parameter: &serde_json::Value| {
        let name = parameter["name"].as_str()?;
        if [
            "limit",
            "offset",
            "cursor",
            "o",
            "prefetch",
            "related_fields",
        ]
        .contains(&name)
        {
            return None;
        }
        let schema = &parameter["schema"];
        let of_list = schema["items"]["type"].as_str();
        let value = match (
            of_list.or(schema["type"].as_str())?,
            schema["format"].as_str(),
        ) {
            _ if name == "severity" => "High",
            ("boolean", _) => "true",
            ("integer" | "number", _) => "1",
            (_, Some("date" | "date-time")) => "2026-01-01",
            _ => "lib",
        };
        Some(format!("{name}={value}"))
    };
    let filters = parameters.as_array().unwrap().iter().filter_map(filter);
    let fields = document["components"]["schemas"]["Finding"]["properties"].as_object();
    let columns = fields.unwrap().keys().map(|name| format!("o=-{name}"));
    filters.chain(columns).collect()
}

async fn costs(n: usize) {
    let local = Local::start().await;
    let store = &local.stack.services.store;
    for (name, endpoint) in [
        ("new", "reimport-scan"),
        ("unchanged re-import", "reimport-scan"),
        ("all duplicates", "import-scan"),
    ] {
        let before = store.usage();
        local
            .client
            .import(endpoint, &[], "report.json", generic_report(0, n))
            .await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = store.usage();
        println!(
            "{name:<22} {n:>6} findings  {:>7.4} write units  {:>7.4} read units  {:>7.4} requests each",
            (now.write_units - before.write_units) / n as f64,
            (now.read_units - before.read_units) / n as f64,
            (now.requests - before.requests) as f64 / n as f64,
        );
    }
    local.stack.stop().await;
}

#[tokio::main]
async fn main() {
    let given: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let sizes = if given.is_empty() {
        vec![1_000, 10_000]
    } else {
        given
    };
    for n in sizes {
        let server = Server::start();
        measure(&server, "new", "reimport-scan", n, &PEER_NEW).await;
        lists(&server).await;
        measure(
            &server,
            "unchanged re-import",
            "reimport-scan",
            n,
            &PEER_UNCHANGED,
        )
        .await;
        measure(
            &server,
            "all duplicates",
            "import-scan",
            n,
            &PEER_DUPLICATES,
        )
        .await;
        drop(server);
        costs(n).await;
    }
}
