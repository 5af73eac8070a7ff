//! A server that is killed in the middle of an import finishes it when it starts again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The token of the first admin.
pub const TOKEN: &str = "00112233445566778899aabbccddeeff00112233";
/// The password of the first admin.
pub const PASSWORD: &str = "preset for the test";
const FINDINGS: usize = 3000;

pub struct Server {
    child: Child,
    pub url: String,
}

impl Server {
    pub fn start(data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tatami"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("TATAMI_ADMIN_TOKEN", TOKEN)
            .env("TATAMI_ADMIN_PASSWORD", PASSWORD)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = loop {
            let line = lines.next().unwrap().unwrap();
            if let Some(at) = line.find("http://") {
                break line[at..].split_whitespace().next().unwrap().to_owned();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url }
    }

    pub fn get(&self, path: &str) -> Option<Value> {
        let mut answer = ureq::get(format!("{}/api/v2/{path}", self.url))
            .header("Authorization", format!("Token {TOKEN}"))
            .call()
            .ok()?;
        answer.body_mut().read_json().ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn report() -> String {
    let findings: Vec<Value> = (0..FINDINGS)
        .map(|n| serde_json::json!({"title": format!("finding {n}"), "severity": "High", "description": "d"}))
        .collect();
    serde_json::json!({ "findings": findings }).to_string()
}

/// Posts the report without waiting for the answer, as the server will not live to give it.
fn post(server: &Server, report: &str) -> std::net::TcpStream {
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"product_name\"\r\n\r\nP\r\n\
         --b\r\nContent-Disposition: form-data; name=\"engagement_name\"\r\n\r\nE\r\n\
         --b\r\nContent-Disposition: form-data; name=\"auto_create_context\"\r\n\r\ntrue\r\n\
         --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"r.json\"\r\n\r\n{report}\r\n--b--\r\n"
    );
    let address = server.url.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /api/v2/import-scan/ HTTP/1.1\r\nHost: {address}\r\nAuthorization: Token {TOKEN}\r\n\
         Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    stream
}

#[test]
fn a_killed_server_finishes_its_import_after_the_restart() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start(data.path());
    let _connection = post(&server, &report());
    // killed once some findings are in, and long before all are
    let started = Instant::now();
    let some = loop {
        let count = server
            .get("findings/?limit=1")
            .and_then(|page| page["count"].as_u64());
        match count {
            Some(n) if n > 0 => break n,
            _ => assert!(
                started.elapsed() < Duration::from_mins(1),
                "no finding came"
            ),
        }
    };
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    assert!(
        some < FINDINGS as u64,
        "it was too quick to be killed in the middle"
    );

    let server = Server::start(data.path());
    let started = Instant::now();
    let import = loop {
        let import = server.get("imports/1/").expect("the import is known");
        if import["state"] == "done" || import["state"] == "failed" {
            break import;
        }
        assert!(
            started.elapsed() < Duration::from_mins(1),
            "the import hangs: {import:#}"
        );
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(import["state"], "done", "{import:#}");
    assert_eq!(import["counts"]["created"], FINDINGS);
    let page = server.get("findings/?limit=1").unwrap();
    assert_eq!(page["count"], FINDINGS);
    let open = server
        .get("findings/?limit=1&active=true&duplicate=false")
        .unwrap();
    assert_eq!(open["count"], FINDINGS, "nothing came in twice");
}
