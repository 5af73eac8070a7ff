//! Reports of any size, written while they are read. They have the shape, the indentation and about the
//! lengths that the real tools write, are the same each time, and cost little to write.
#![allow(dead_code, reason = "who includes this takes what it needs")]
#![allow(
    clippy::format_collect,
    clippy::format_push_string,
    reason = "texts are put together once"
)]

mod generic;
mod nessus;
mod sarif;
mod text;
mod trivy;
mod zap;

use std::io::{self, Read};
use std::time::{Duration, Instant};

/// A kind of report that can be had.
pub struct Kind {
    pub name: &'static str,
    pub scan_type: &'static str,
    pub file: &'static str,
    parts: fn() -> Box<dyn Parts>,
}

pub const KINDS: &[Kind] = &[
    Kind {
        name: "nessus",
        scan_type: "Tenable Scan",
        file: "scan.nessus",
        parts: || Box::new(nessus::Xml::new()),
    },
    Kind {
        name: "nessus-csv",
        scan_type: "Tenable Scan",
        file: "scan.csv",
        parts: || Box::new(nessus::Csv::new()),
    },
    Kind {
        name: "trivy",
        scan_type: "Trivy Scan",
        file: "trivy.json",
        parts: || Box::new(trivy::Image::new()),
    },
    Kind {
        name: "zap",
        scan_type: "ZAP Scan",
        file: "zap.xml",
        parts: || Box::new(zap::Site::new()),
    },
    Kind {
        name: "sarif",
        scan_type: "SARIF",
        file: "report.sarif",
        parts: || Box::new(sarif::Run::new()),
    },
    Kind {
        name: "generic",
        scan_type: "Generic Findings Import",
        file: "findings.json",
        parts: || Box::new(generic::Json::new()),
    },
    Kind {
        name: "generic-csv",
        scan_type: "Generic Findings Import",
        file: "findings.csv",
        parts: || Box::new(generic::Csv::new()),
    },
];

impl Kind {
    /// A report of at least `size` bytes: the record that passes it is the last.
    pub fn report(&self, size: u64) -> Generated {
        Generated {
            parts: (self.parts)(),
            size,
            made: 0,
            records: 0,
            step: Step::Begin,
            buf: Vec::new(),
            at: 0,
            spent: Duration::ZERO,
        }
    }

    /// The same in memory.
    pub fn bytes(&self, size: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.report(size).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// The pieces that a report is made of.
trait Parts {
    fn begin(&mut self, out: &mut Vec<u8>);
    /// The record of this number, from 0.
    fn record(&mut self, number: u64, out: &mut Vec<u8>);
    fn end(&mut self, out: &mut Vec<u8>);
}

enum Step {
    Begin,
    Records,
    Ended,
}

/// A report as a stream.
pub struct Generated {
    parts: Box<dyn Parts>,
    size: u64,
    made: u64,
    records: u64,
    step: Step,
    buf: Vec<u8>,
    at: usize,
    spent: Duration,
}

impl Generated {
    /// Bytes made so far.
    pub fn made(&self) -> u64 {
        self.made
    }

    /// What making them took.
    pub fn spent(&self) -> Duration {
        self.spent
    }

    fn refill(&mut self) {
        let start = Instant::now();
        self.buf.clear();
        self.at = 0;
        while self.buf.len() < 128 * 1024 {
            match self.step {
                Step::Begin => {
                    self.parts.begin(&mut self.buf);
                    self.step = Step::Records;
                }
                Step::Records if self.made + (self.buf.len() as u64) < self.size => {
                    self.parts.record(self.records, &mut self.buf);
                    self.records += 1;
                }
                Step::Records => {
                    self.parts.end(&mut self.buf);
                    self.step = Step::Ended;
                }
                Step::Ended => break,
            }
        }
        self.made += self.buf.len() as u64;
        self.spent += start.elapsed();
    }
}

impl Read for Generated {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.buf.len() {
            self.refill();
        }
        let n = (&self.buf[self.at..]).read(out)?;
        self.at += n;
        Ok(n)
    }
}
