//! Calls to servers on this machine, with names that only the tests' resolver knows.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on shall stop"
)]

mod addresses;
mod allow;
mod calls;
mod hosts;
mod limits;
mod proxy;
mod redirects;
mod secrets;

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use http::{Method, Request, Response};
use tatami_outbound::{AllowList, Limits, Outbound, OutboundError, Resolve};

/// A server on the loopback address; it lasts as long as the tests do.
struct Server {
    port: u16,
    /// What it was sent: whole requests, or the first byte of a connection.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// One that reads requests and answers what the function says.
    fn http(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::streaming(move |request, stream| stream.write_all(answer(request).as_bytes()))
    }

    /// One that reads requests and writes its answer itself. The connection ends with the function.
    fn streaming(
        answer: impl Fn(&str, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |mut stream, seen| {
            let request = read_request(&stream)?;
            seen.lock().unwrap().push(request.clone());
            answer(&request, &mut stream)
        })
    }

    /// One that notes the first byte of a connection, and then closes it.
    fn deaf() -> Self {
        Self::start(|mut stream, seen| {
            let mut first = [0];
            stream.read_exact(&mut first)?;
            seen.lock().unwrap().push(format!("{:#04x}", first[0]));
            Ok(())
        })
    }

    fn start(
        connection: impl Fn(TcpStream, &Mutex<Vec<String>>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (shared, connection) = (Arc::clone(&seen), Arc::new(connection));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, connection) = (Arc::clone(&shared), Arc::clone(&connection));
                // a client that hangs up early is what some tests are about
                thread::spawn(move || connection(stream.unwrap(), &seen).ok());
            }
        });
        Self { port, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn url(&self, host: &str, rest: &str) -> String {
        format!("http://{host}:{}{rest}", self.port)
    }
}

fn read_request(stream: &TcpStream) -> io::Result<String> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    let mut length = 0;
    loop {
        let start = request.len();
        if reader.read_line(&mut request)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = request[start..].trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(request + &String::from_utf8(body).unwrap())
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

/// A resolver that notes what it's asked. Each name has a list of answers, the last of which stays.
#[derive(Clone, Default)]
struct Names {
    answers: Arc<Mutex<HashMap<String, Vec<Vec<IpAddr>>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Names {
    fn with(self, host: &str, answers: &[&[&str]]) -> Self {
        let parse = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        let answers = answers.iter().map(parse).collect();
        self.answers.lock().unwrap().insert(host.into(), answers);
        self
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Resolve for Names {
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.asked.lock().unwrap().push(host.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let answers = answers.get_mut(host).ok_or(io::ErrorKind::NotFound)?;
        let answer = if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0].clone()
        };
        let with_port = |ip| SocketAddr::new(ip, port);
        Ok(answer.into_iter().map(with_port).collect())
    }
}

fn client(allow: &str, names: &Names) -> Outbound {
    Outbound::with_resolver(allow.parse().unwrap(), names.clone())
}

/// Two names at the loopback address, both allowed.
fn two_hosts() -> (Outbound, Names) {
    let here: &[&[&str]] = &[&["127.0.0.1"]];
    let names = Names::default()
        .with("a.example", here)
        .with("b.example", here);
    (client("a.example, b.example", &names), names)
}

fn strict(names: &Names) -> Outbound {
    Outbound::with_resolver(AllowList::default(), names.clone())
}

fn request(method: Method, url: &str, body: &str) -> Request<Vec<u8>> {
    let request = Request::builder().method(method).uri(url);
    request.body(body.as_bytes().to_vec()).unwrap()
}

async fn get(client: &Outbound, url: &str) -> Result<Response<Vec<u8>>, OutboundError> {
    get_within(client, url, Limits::default()).await
}

async fn get_within(
    client: &Outbound,
    url: &str,
    limits: Limits,
) -> Result<Response<Vec<u8>>, OutboundError> {
    client.send(request(Method::GET, url, ""), limits).await
}

fn within(millis: u64) -> Limits {
    Limits {
        timeout: Duration::from_millis(millis),
        ..Limits::default()
    }
}

/// What tables of expected results have: `Ok`, or the name of the error's variant.
fn kind<T>(result: Result<T, OutboundError>) -> String {
    result.map_or_else(|error| variant(&error), |_| "Ok".to_owned())
}

fn variant(error: &OutboundError) -> String {
    let debug = format!("{error:?}");
    debug.split(' ').next().unwrap().to_owned()
}
