use std::cell::OnceCell;
use std::io::{self, Cursor, Read};

use crate::kit::json::{Outline, outline};

/// How much of a report the detectors may look at.
pub const SNIFF_BYTES: usize = 64 * 1024;

/// A report to be read: its file name and its bytes as they come.
pub struct Report<'a> {
    name: String,
    head: Vec<u8>,
    read: usize,
    rest: Box<dyn Read + 'a>,
}

impl<'a> Report<'a> {
    /// Reads from `source`; takes its first [`SNIFF_BYTES`] at once, for detection.
    pub fn new(name: impl Into<String>, mut source: impl Read + 'a) -> io::Result<Self> {
        let mut head = Vec::with_capacity(4096);
        source
            .by_ref()
            .take(SNIFF_BYTES as u64)
            .read_to_end(&mut head)?;
        Ok(Self {
            name: name.into(),
            head,
            read: 0,
            rest: Box::new(source),
        })
    }

    /// A report that lies in memory.
    pub fn from_bytes(name: impl Into<String>, bytes: &'a [u8]) -> Self {
        let (head, rest) = bytes.split_at(bytes.len().min(SNIFF_BYTES));
        Self {
            name: name.into(),
            head: head.to_vec(),
            read: 0,
            rest: Box::new(Cursor::new(rest)),
        }
    }

    /// The file's name, without folders.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the detectors see.
    pub fn sniff(&self) -> Sniff<'_> {
        Sniff::new(&self.name, &self.head)
    }

    /// Is there nothing in it at all?
    pub fn is_empty(&self) -> bool {
        self.head.is_empty()
    }
}

impl Read for Report<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = &self.head[self.read..];
        if left.is_empty() {
            return self.rest.read(buf);
        }
        let n = left.len().min(buf.len());
        buf[..n].copy_from_slice(&left[..n]);
        self.read += n;
        Ok(n)
    }
}

/// The head of a report, for detection.
#[derive(Debug, Clone)]
pub struct Sniff<'a> {
    name: &'a str,
    head: &'a [u8],
    json: OnceCell<Outline>,
}

impl<'a> Sniff<'a> {
    /// Looks at no more than [`SNIFF_BYTES`] of `head`.
    pub fn new(name: &'a str, head: &'a [u8]) -> Self {
        let head = &head[..head.len().min(SNIFF_BYTES)];
        Self {
            name,
            head,
            json: OnceCell::new(),
        }
    }

    /// File name without folders.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The first bytes of the report.
    pub fn bytes(&self) -> &'a [u8] {
        self.head
    }

    /// The names in the head of a JSON report; empty for anything else. Looked up once for all
    /// detectors.
    pub fn json(&self) -> &Outline {
        self.json.get_or_init(|| outline(self.head))
    }
}
