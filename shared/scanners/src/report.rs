use std::cell::OnceCell;
use std::io::{self, Read};
use std::rc::Rc;

use crate::Refusal;
use crate::kit::archive::{self, Archive};
use crate::kit::csv::Header;
use crate::kit::json::{Outline, outline};
use crate::kit::xml::Tag;

/// How much of a report the detectors may look at.
pub const SNIFF_BYTES: usize = 64 * 1024;

/// A report to be read: its file name and its bytes as they come. A zip archive is taken whole, to a
/// temporary file where it is large, so that its table of contents can be seen.
pub struct Report<'a> {
    head: Rc<Head>,
    read: usize,
    rest: Rest<'a>,
}

enum Rest<'a> {
    Stream(Box<dyn Read + 'a>),
    Archive(Box<Result<Archive, Refusal>>),
}

/// What is known of a report before it is read.
#[derive(Debug, Default)]
pub(crate) struct Head {
    name: String,
    bytes: Vec<u8>,
    members: Vec<String>,
    first_member: Option<Rc<Head>>,
    seen: Rc<Seen>,
}

/// What detectors and readers ask of the same head time and again.
#[derive(Debug, Default)]
struct Seen {
    json: OnceCell<Outline>,
    root: OnceCell<Option<Tag>>,
    header: OnceCell<Option<Header>>,
}

impl Head {
    fn read(name: String, source: &mut impl Read) -> io::Result<Self> {
        let mut bytes = Vec::with_capacity(SNIFF_BYTES);
        source.take(SNIFF_BYTES as u64).read_to_end(&mut bytes)?;
        bytes.shrink_to_fit();
        Ok(Self {
            name,
            bytes,
            ..Self::default()
        })
    }

    pub(crate) fn sniff(&self) -> Sniff<'_> {
        Sniff {
            members: &self.members,
            first_member: self.first_member.as_deref(),
            seen: Rc::clone(&self.seen),
            ..Sniff::new(&self.name, &self.bytes)
        }
    }
}

impl<'a> Report<'a> {
    /// Reads from `source`; takes its first [`SNIFF_BYTES`] at once, for detection.
    pub fn new(name: impl Into<String>, mut source: impl Read + 'a) -> io::Result<Self> {
        let mut head = Head::read(name.into(), &mut source)?;
        let rest = if archive::is_archive(&head.bytes) {
            let mut archive = archive::take(&head.bytes, source)?;
            if let Ok(archive) = &mut archive {
                head.members = archive.names().to_vec();
                let first = head.members.first();
                // One that cannot be unpacked says nothing of the archive.
                let first = first.and_then(|name| archive.member(name).ok().flatten());
                head.first_member = first.map(|member| member.head());
            }
            Rest::Archive(Box::new(archive))
        } else {
            Rest::Stream(Box::new(source))
        };
        Ok(Self {
            head: Rc::new(head),
            read: 0,
            rest,
        })
    }

    /// A report that lies in memory.
    pub fn from_bytes(name: impl Into<String>, bytes: &'a [u8]) -> Self {
        let name = name.into();
        // Only for want of a temporary file can it fail; the archive is no report then.
        Self::new(name.clone(), bytes).unwrap_or_else(|error| Self {
            head: Rc::new(Head {
                name,
                bytes: bytes[..bytes.len().min(SNIFF_BYTES)].to_vec(),
                ..Head::default()
            }),
            read: 0,
            rest: Rest::Archive(Box::new(Err(Refusal::new(error.to_string())))),
        })
    }

    /// A member of an archive, which is never unpacked as an archive itself.
    pub(crate) fn new_member(path: &str, mut source: impl Read + 'a) -> io::Result<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        Ok(Self {
            head: Rc::new(Head::read(name.to_owned(), &mut source)?),
            read: 0,
            rest: Rest::Stream(Box::new(source)),
        })
    }

    /// The file's name, without folders.
    pub fn name(&self) -> &str {
        &self.head.name
    }

    /// What the detectors see.
    pub fn sniff(&self) -> Sniff<'_> {
        self.head.sniff()
    }

    /// Is there nothing in it at all?
    pub fn is_empty(&self) -> bool {
        self.head.bytes.is_empty()
    }

    /// Is it a zip archive?
    pub fn is_archive(&self) -> bool {
        matches!(self.rest, Rest::Archive(_))
    }

    /// The archive that it is, or why that isn't unpacked. `None` for any other report.
    pub(crate) fn into_archive(self) -> Option<Result<Archive, Refusal>> {
        match self.rest {
            Rest::Archive(archive) => Some(*archive),
            Rest::Stream(_) => None,
        }
    }

    pub(crate) fn head(&self) -> Rc<Head> {
        Rc::clone(&self.head)
    }
}

impl Read for Report<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = &self.head.bytes[self.read..];
        if left.is_empty() {
            return match &mut self.rest {
                Rest::Stream(rest) => rest.read(buf),
                Rest::Archive(_) => Err(io::Error::other("it is a zip archive")),
            };
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
    members: &'a [String],
    first_member: Option<&'a Head>,
    seen: Rc<Seen>,
}

impl<'a> Sniff<'a> {
    /// Looks at no more than [`SNIFF_BYTES`] of `head`.
    pub fn new(name: &'a str, head: &'a [u8]) -> Self {
        let head = &head[..head.len().min(SNIFF_BYTES)];
        Self {
            name,
            head,
            members: &[],
            first_member: None,
            seen: Rc::default(),
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

    /// The paths of the files in a zip archive; none for anything else, or where it isn't safe to
    /// unpack.
    pub fn members(&self) -> &'a [String] {
        self.members
    }

    /// The head of the first of them, for archives whose paths tell nothing.
    pub fn first_member(&self) -> Option<Sniff<'a>> {
        self.first_member.map(Head::sniff)
    }

    /// The names in the head of a JSON report; empty for anything else. Looked up once for all
    /// detectors.
    pub fn json(&self) -> &Outline {
        self.seen.json.get_or_init(|| outline(self.head))
    }

    /// See [`crate::kit::xml::root_of`], which looks it up once for all detectors.
    pub(crate) fn root(&self, look: impl FnOnce() -> Option<Tag>) -> Option<&Tag> {
        self.seen.root.get_or_init(look).as_ref()
    }

    /// See [`crate::kit::csv::header_of`], which looks it up once for all detectors.
    pub(crate) fn header(&self, look: impl FnOnce() -> Option<Header>) -> Option<&Header> {
        self.seen.header.get_or_init(look).as_ref()
    }
}
