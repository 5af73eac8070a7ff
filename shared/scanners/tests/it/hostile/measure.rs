//! What a report does to a scanner: time, memory, panics, endless loops.

use std::alloc::System;
use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use peakmem_alloc::{INSTRUMENTED_SYSTEM, PeakMemAlloc, PeakMemAllocTrait as _};
use rustix::time::{ClockId, clock_gettime};
use tatami_domain::{ReportFinding, ReportTest};
use tatami_scanners::{Report, Scanner, Sink, Stop, Warning, detect};

use super::input::Input;

#[global_allocator]
static MEMORY: &PeakMemAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How much memory a hostile report may take.
const MEMORY_LIMIT: usize = 256 * 1024 * 1024;
/// How many seconds of CPU time it should take at most in a release build. Longer ones are marked, not refused: builds and
/// machines differ.
const SLOW: f64 = 2.0;
/// Longer than this is forever.
const FOREVER: Duration = Duration::from_mins(1);
/// What a thread of the parser function has.
const STACK: usize = 2 * 1024 * 1024;

/// Memory is counted for the whole process: one at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// What the scanner made of it.
#[derive(Default)]
pub struct Made {
    pub findings: usize,
    pub warnings: usize,
    pub refusal: Option<String>,
    /// The text that no finding may hold was in one.
    pub leaked: bool,
}

struct Counted<'m> {
    made: &'m mut Made,
    secret: Option<&'m str>,
}

impl Sink for Counted<'_> {
    fn finding(&mut self, finding: ReportFinding) -> Result<(), Stop> {
        self.made.findings += 1;
        if let Some(secret) = self.secret {
            self.made.leaked |= format!("{finding:?}").contains(secret);
        }
        Ok(())
    }

    fn warning(&mut self, _: Warning) {
        self.made.warnings += 1;
    }

    fn test(&mut self, _: ReportTest) {}
}

/// The worst that was seen of one case.
struct Worst {
    runs: usize,
    seconds: f64,
    slowest: String,
    peak: usize,
    largest: String,
}

/// Runs cases and keeps what went wrong.
pub struct Trial {
    title: &'static str,
    secret: Option<&'static str>,
    cases: BTreeMap<String, Worst>,
    failures: Vec<String>,
    started: Instant,
    _alone: MutexGuard<'static, ()>,
}

impl Trial {
    pub fn new(title: &'static str) -> Self {
        Self {
            title,
            secret: None,
            cases: BTreeMap::new(),
            failures: Vec::new(),
            _alone: ALONE.lock().unwrap_or_else(PoisonError::into_inner),
            started: Instant::now(),
        }
    }

    /// This text must not come up in any finding.
    pub fn secret(mut self, text: &'static str) -> Self {
        self.secret = Some(text);
        self
    }

    /// Lets a scanner read it, or, without one, all detectors look at it. `place`: where in a report of
    /// which folder the attack is. Gives what the scanner made of it; nothing if it panicked.
    pub fn run(
        &mut self,
        case: &str,
        place: &str,
        scanner: Option<&'static Scanner>,
        input: &Input,
    ) -> Made {
        let who = scanner.map_or("detect", |scanner| scanner.scan_type);
        let what = format!("{case}: {who} {place}");
        let (input, secret) = (input.clone(), self.secret);
        let (done, waiting) = mpsc::channel();
        let work = move || {
            MEMORY.reset_peak_memory();
            let start = cpu_time();
            let made = match scanner {
                Some(scanner) => parse(scanner, &input, secret),
                None => look(&input),
            };
            let seconds = cpu_time().saturating_sub(start).as_secs_f64();
            // Nobody listens any more after the time is up.
            let _ = done.send((made, seconds, MEMORY.get_peak_memory()));
        };
        let thread = thread::Builder::new().name(what.clone()).stack_size(STACK);
        let thread = thread.spawn(work).unwrap();
        let (made, seconds, peak) = match waiting.recv_timeout(FOREVER) {
            Ok(seen) => seen,
            Err(RecvTimeoutError::Disconnected) => {
                self.failures.push(format!("{what}: panicked"));
                return Made::default();
            }
            Err(RecvTimeoutError::Timeout) => {
                self.failures
                    .push(format!("{what}: has not ended after {FOREVER:?}"));
                self.print();
                panic!("{}", self.failures.join("\n"));
            }
        };
        thread.join().unwrap();
        if peak > MEMORY_LIMIT {
            let refusal = made.refusal.as_deref().unwrap_or("none");
            self.failures.push(format!(
                "{what}: took {} MB ({} findings, {} warnings, refusal: {refusal})",
                peak / 1024 / 1024,
                made.findings,
                made.warnings
            ));
        }
        if made.leaked {
            self.failures
                .push(format!("{what}: the secret is in a finding"));
        }
        self.note(case, format!("{who} {place}"), seconds, peak);
        made
    }

    /// Takes note of what should be otherwise.
    pub fn fail(&mut self, what: String) {
        self.failures.push(what);
    }

    fn note(&mut self, case: &str, what: String, seconds: f64, peak: usize) {
        let worst = self.cases.entry(case.to_owned()).or_insert(Worst {
            runs: 0,
            seconds: -1.0,
            slowest: String::new(),
            peak: 0,
            largest: String::new(),
        });
        worst.runs += 1;
        if seconds > worst.seconds {
            worst.seconds = seconds;
            worst.slowest.clone_from(&what);
        }
        if peak >= worst.peak {
            worst.peak = peak;
            worst.largest = what;
        }
    }

    fn print(&self) {
        println!(
            "\n{} ({:.0} s)",
            self.title,
            self.started.elapsed().as_secs_f64()
        );
        println!("  {:>8} {:>6} {:>6}  case", "seconds", "MB", "runs");
        for (case, worst) in &self.cases {
            let mark = if worst.seconds > SLOW { "! " } else { "  " };
            println!(
                "{mark}{:8.3} {:6} {:6}  {case} (slowest: {}; largest: {})",
                worst.seconds,
                worst.peak / 1024 / 1024,
                worst.runs,
                worst.slowest,
                worst.largest
            );
        }
    }

    /// Prints the times and fails where something went wrong.
    pub fn finish(self) {
        self.print();
        assert!(self.failures.is_empty(), "\n{}", self.failures.join("\n"));
    }
}

/// What this thread has taken so far.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}

fn parse(scanner: &Scanner, input: &Input, secret: Option<&str>) -> Made {
    let mut made = Made::default();
    let mut sink = Counted {
        made: &mut made,
        secret,
    };
    let refusal = match Report::new("report", input.reader()) {
        Ok(report) => scanner
            .parse(report, &mut sink)
            .err()
            .map(|refusal| refusal.to_string()),
        Err(error) => Some(error.to_string()),
    };
    if let (Some(secret), Some(refusal)) = (secret, &refusal) {
        made.leaked |= refusal.contains(secret);
    }
    made.refusal = refusal.map(|refusal| refusal.chars().take(200).collect());
    made
}

fn look(input: &Input) -> Made {
    let found = Report::new("report", input.reader()).map(|report| detect(&report));
    let refusal = match found {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(error) => Some(error.to_string()),
    };
    Made {
        refusal,
        ..Made::default()
    }
}
