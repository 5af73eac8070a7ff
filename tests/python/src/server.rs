//! A process that serves on 127.0.0.1 for as long as a test holds it.

use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A server has to be there after so long.
const START_WITHIN: Duration = Duration::from_mins(1);

/// A running server. It is killed when it is dropped; its stdin ends then too, and when the test's process ends
/// otherwise, which is when the scripts of this crate end by themselves.
pub struct Server {
    child: Child,
    port: u16,
    lines: Receiver<String>,
}

impl Server {
    /// Starts a server whose first line on stdout is its port.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let mut server = Self::spawn(command, 0)?;
        let first = server.next_line(START_WITHIN);
        let port = first.as_deref().and_then(|line| line.trim().parse().ok());
        server.port = port.ok_or_else(|| {
            io::Error::other(format!(
                "{command:?} says {first:?} where its port should be"
            ))
        })?;
        Ok(server)
    }

    /// Starts a server that was told its port, such as [`free_port`], and waits until it takes connections.
    pub fn start_at(command: &mut Command, port: u16) -> io::Result<Self> {
        let mut server = Self::spawn(command, port)?;
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if let Some(status) = server.child.try_wait()? {
                return Err(io::Error::other(format!("{command:?} ended: {status}")));
            }
            if start.elapsed() > START_WITHIN {
                let late = format!("{command:?} takes no connections at port {port}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, late));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// Where it listens on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The next line of its stdout; none where it prints none in that time, or has ended.
    pub fn next_line(&self, within: Duration) -> Option<String> {
        self.lines.recv_timeout(within).ok()
    }

    fn spawn(command: &mut Command, port: u16) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{command:?}: {error}")))?;
        let lines = follow(child.stdout.take());
        Ok(Self { child, port, lines })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // one that has ended already is only waited for
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads on even where nobody asks for the lines, so that the server never waits to print.
fn follow(stdout: Option<ChildStdout>) -> Receiver<String> {
    let (sender, lines) = channel();
    if let Some(stdout) = stdout {
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    lines
}

/// A port of 127.0.0.1 that nothing listens on at the moment.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_followed_and_killed() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 4711; echo $$; echo more; exec sleep 600"]);
        let server = Server::start(&mut command).unwrap();
        assert_eq!(server.port(), 4711);
        let pid = server.next_line(START_WITHIN).unwrap();
        assert_eq!(server.next_line(START_WITHIN).as_deref(), Some("more"));
        let alive = || Command::new("kill").args(["-0", &pid]).output().unwrap();
        assert!(alive().status.success());
        drop(server);
        assert!(!alive().status.success());
    }

    #[test]
    fn one_that_does_not_serve_is_an_error() {
        let mut talker = Command::new("sh");
        let error = Server::start(talker.args(["-c", "echo hello"]))
            .err()
            .unwrap();
        assert!(error.to_string().contains("hello"), "{error}");
        let mut quitter = Command::new("sh");
        let port = free_port().unwrap();
        let error = Server::start_at(quitter.args(["-c", "exit 3"]), port)
            .err()
            .unwrap();
        assert!(error.to_string().contains("exit status: 3"), "{error}");
    }
}
