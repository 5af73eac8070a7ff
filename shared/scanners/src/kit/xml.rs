//! XML reports: a cursor that walks from start tag to start tag and never holds more than one
//! element's text.
//!
//! ```ignore
//! let mut xml = Xml::open(report)?;
//! xml.expect_root("scan")?;
//! let scan = xml.level();
//! while xml.next_in(scan)? {
//!     if xml.name() == "issue" {
//!         let id = xml.attr("id");
//!         let issue = xml.level();
//!         while xml.next_in(issue)? {
//!             match xml.name() {
//!                 "title" => title = xml.text()?,
//!                 _ => {} // what isn't asked for is skipped
//!             }
//!         }
//!     }
//! }
//! ```
//!
//! Names are local names, without their namespace prefix. Only the five entities of XML itself and
//! character references are known; one that no character may have is U+FFFD. A document type is refused, save by [`Xml::open_with_doctype`].

use quick_xml::Reader;
use quick_xml::errors::{Error, IllFormedError};
use quick_xml::escape::{resolve_xml_entity, unescape};
use quick_xml::events::attributes::Attributes;
use quick_xml::events::{BytesRef, Event};

use super::source::{CUT_OFF, Source, empty, unreadable};
use crate::{Position, Refusal, Report, Sniff};

const MAX_DEPTH: usize = 200;
const MAX_TEXT: usize = 16 * 1024 * 1024;

/// A start tag with its attributes.
#[derive(Debug, Clone, Default)]
pub struct Tag {
    content: String,
    name_len: usize,
}

impl Tag {
    /// The local name.
    pub fn name(&self) -> &str {
        local(&self.content[..self.name_len])
    }

    /// The value of the attribute with this local name.
    pub fn attr(&self, name: &str) -> Option<String> {
        Attributes::new(&self.content, self.name_len)
            .with_checks(false)
            .flatten()
            .find(|attribute| local(attribute.key.as_ref()) == name)
            .map(|attribute| {
                let value = unescape(&attribute.value);
                let value = value.unwrap_or_else(|_| attribute.value.as_ref().into());
                // Literal white space in an attribute stands for a space.
                value.replace("\r\n", " ").replace(['\r', '\n', '\t'], " ")
            })
    }
}

/// The root element of what may be an XML report, for detection. Declarations before it are
/// skipped, and it doesn't matter where the head ends after it.
pub fn root_of<'s>(sniff: &'s Sniff<'_>) -> Option<&'s Tag> {
    sniff.root(|| {
        if !is_markup(sniff) {
            return None;
        }
        let report = Report::from_bytes(sniff.name(), sniff.bytes());
        Xml::open_with_doctype(report).ok().map(|xml| xml.tag)
    })
}

/// Does the report begin with `<`, in whatever encoding? For scanners that write XML and more.
pub fn is_markup(sniff: &Sniff<'_>) -> bool {
    let mark = |b: &u8| matches!(b, 0 | 0xEF | 0xBB | 0xBF | 0xFE | 0xFF);
    let first = (sniff.bytes().iter()).find(|b| !mark(b) && !b.is_ascii_whitespace());
    first == Some(&b'<')
}

/// How deep an element lies, to walk its children by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(usize);

/// A cursor in an XML report.
pub struct Xml<'a> {
    reader: Reader<Source<'a>>,
    buf: Vec<u8>,
    tag: Tag,
    root: String,
    depth: usize,
    /// The last step was the current element's start tag.
    at_start: bool,
    doctype: bool,
}

enum Step {
    Start,
    End,
    Other,
}

impl<'a> Xml<'a> {
    /// Opens a report and goes to its root element.
    pub fn open(report: Report<'a>) -> Result<Self, Refusal> {
        Self::new(report, false)
    }

    /// As [`Xml::open`], for formats whose tools write a document type themselves (Burp, nmap,
    /// Nikto). It is skipped, never read; one that declares entities is refused.
    pub fn open_with_doctype(report: Report<'a>) -> Result<Self, Refusal> {
        Self::new(report, true)
    }

    fn new(report: Report<'a>, doctype: bool) -> Result<Self, Refusal> {
        if report.is_empty() {
            return Err(empty());
        }
        let mut reader = Reader::from_reader(Source::decoded(report));
        reader.config_mut().expand_empty_elements = true;
        let mut xml = Self {
            reader,
            buf: Vec::new(),
            tag: Tag::default(),
            root: String::new(),
            depth: 0,
            at_start: false,
            doctype,
        };
        let mut text = String::new();
        loop {
            let step = xml.step(Some(&mut text))?;
            if !text.trim_start_matches('\u{FEFF}').trim().is_empty() {
                return Err(xml.refuse("this is not XML: there is text before the root element"));
            }
            if matches!(step, Step::Start) {
                xml.tag.name().clone_into(&mut xml.root);
                return Ok(xml);
            }
        }
    }

    /// The local name of the element entered last.
    pub fn name(&self) -> &str {
        self.tag.name()
    }

    /// An attribute of the element entered last.
    pub fn attr(&self, name: &str) -> Option<String> {
        self.tag.attr(name)
    }

    /// Refuses the report unless its root element has this name.
    pub fn expect_root(&self, name: &str) -> Result<(), Refusal> {
        if self.root == name {
            return Ok(());
        }
        Err(self.refuse(format!("the root element is <{}>, not <{name}>", self.root)))
    }

    /// The element the cursor is in now.
    pub fn level(&self) -> Level {
        Level(self.depth)
    }

    /// Goes to the next child of the element at `parent`, over whatever is left of the child before.
    /// `false` at the element's end tag, which is then behind the cursor.
    pub fn next_in(&mut self, parent: Level) -> Result<bool, Refusal> {
        while self.depth >= parent.0 && parent.0 > 0 {
            if matches!(self.step(None)?, Step::Start) && self.depth == parent.0 + 1 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// All text in the element just entered, up to and over its end tag. Empty where the cursor has
    /// moved on from its start tag.
    pub fn text(&mut self) -> Result<String, Refusal> {
        let mut text = String::new();
        if !self.at_start {
            return Ok(text);
        }
        let level = self.depth;
        while self.depth >= level {
            self.step(Some(&mut text))?;
            if text.len() > MAX_TEXT {
                let limit = MAX_TEXT / 1024 / 1024;
                return Err(self.refuse(format!("the text of one element is over {limit} MB")));
            }
        }
        Ok(text)
    }

    /// Where the cursor is.
    pub fn position(&self) -> Position {
        self.reader.get_ref().position()
    }

    /// A refusal with the cursor's place.
    pub fn refuse(&self, message: impl Into<String>) -> Refusal {
        let at = self.position();
        Refusal::new(message).at(at.line, at.column)
    }

    fn step(&mut self, text: Option<&mut String>) -> Result<Step, Refusal> {
        self.at_start = false;
        self.buf.clear();
        self.reader.get_mut().begin_piece();
        let event = match self.reader.read_event_into(&mut self.buf) {
            Ok(event) => event,
            Err(error) => return Err(syntax(&error, self.reader.get_ref().position())),
        };
        match event {
            Event::Start(start) => {
                self.tag.name_len = start.name().as_ref().len();
                self.tag.content.clear();
                self.tag.content.push_str(&start);
                self.depth += 1;
                self.at_start = true;
                if self.depth > MAX_DEPTH {
                    let message = format!("elements are nested more than {MAX_DEPTH} deep");
                    return Err(self.refuse(message));
                }
                Ok(Step::Start)
            }
            Event::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                Ok(Step::End)
            }
            Event::Eof => Err(ended(&self.root, self.reader.get_ref().position())),
            Event::DocType(doctype) => {
                if self.doctype && !doctype.contains("<!ENTITY") {
                    return Ok(Step::Other);
                }
                let message = "document types (<!DOCTYPE ...>) are not accepted";
                Err(self.refuse(message).hint(
                    "remove the <!DOCTYPE ...> from the report: entities and external files \
                     are never read",
                ))
            }
            Event::Text(piece) => {
                if let Some(text) = text {
                    text.push_str(&piece.xml10_content());
                }
                Ok(Step::Other)
            }
            Event::CData(piece) => {
                if let Some(text) = text {
                    text.push_str(&piece.xml10_content());
                }
                Ok(Step::Other)
            }
            Event::GeneralRef(reference) => match (text, resolve(&reference)) {
                (None, _) => Ok(Step::Other),
                (Some(text), Some(character)) => {
                    text.push(character);
                    Ok(Step::Other)
                }
                (Some(_), None) => {
                    let name: String = reference.chars().take(40).collect();
                    Err(self.refuse(format!("the entity &{name}; is not defined")))
                }
            },
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => Ok(Step::Other),
        }
    }
}

fn resolve(reference: &BytesRef<'_>) -> Option<char> {
    if reference.is_char_ref() {
        // Such as `&#0;`, which some tools write and XML forbids.
        return reference
            .resolve_char_ref()
            .ok()
            .flatten()
            .or(Some(char::REPLACEMENT_CHARACTER));
    }
    resolve_xml_entity(reference)?.chars().next()
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

fn ended(root: &str, at: Position) -> Refusal {
    if root.is_empty() {
        return Refusal::new("there is no XML element in the report").at(at.line, at.column);
    }
    Refusal::new(format!("the report ends inside <{root}>"))
        .at(at.line, at.column)
        .hint(CUT_OFF)
}

fn syntax(error: &Error, at: Position) -> Refusal {
    let refusal = match error {
        Error::Io(error) => return unreadable(error, at),
        Error::Syntax(_) | Error::IllFormed(IllFormedError::MissingEndTag(_)) => {
            // These come up only where the input ends inside of markup.
            Refusal::new(format!("the XML is broken: {error}")).hint(CUT_OFF)
        }
        _ => Refusal::new(format!("the XML is broken: {error}")),
    };
    refusal.at(at.line, at.column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(bytes: &[u8]) -> Result<Xml<'_>, Refusal> {
        Xml::open(Report::from_bytes("r.xml", bytes))
    }

    fn read_all(bytes: &[u8]) -> Result<String, Refusal> {
        open(bytes)?.text()
    }

    #[test]
    fn the_cursor_walks_children_and_skips_the_rest() {
        let text = br#"<?xml version="1.0"?><!-- hi --><r v="1">
            <a x="&lt;1&#10;2"><deep><deeper/></deep> tail</a>
            <n:b>one <![CDATA[<two>]]> &amp; three&#33;</n:b><c/><d>x</d></r> junk"#;
        let mut xml = open(text).unwrap();
        xml.expect_root("r").unwrap();
        assert!(xml.expect_root("x").is_err());
        assert_eq!(xml.attr("v").as_deref(), Some("1"));
        let root = xml.level();
        let mut seen = Vec::new();
        while xml.next_in(root).unwrap() {
            seen.push(xml.name().to_owned());
            match xml.name() {
                "a" => {
                    assert_eq!(xml.attr("x").unwrap(), "<1 2");
                    let a = xml.level();
                    assert!(xml.next_in(a).unwrap());
                    assert_eq!(xml.name(), "deep");
                }
                "b" => assert_eq!(xml.text().unwrap(), "one <two> & three!"),
                "c" => {
                    assert_eq!(xml.text().unwrap(), "");
                    assert_eq!(xml.text().unwrap(), "");
                }
                _ => {}
            }
        }
        assert_eq!(seen, ["a", "b", "c", "d"]);
        assert!(!xml.next_in(root).unwrap());
    }

    #[test]
    fn text_is_decoded_and_its_line_ends_are_plain() {
        assert_eq!(read_all(b"<a>1\r\n2\r3</a>").unwrap(), "1\n2\n3");
        let legacy = b"<?xml version='1.0' encoding='windows-1252'?><a>\x93\xE9\x94</a>";
        assert_eq!(read_all(legacy).unwrap(), "\u{201C}é\u{201D}");
        let wide: Vec<u8> = "\u{FEFF}<?xml version='1.0' encoding='UTF-16'?><a>é</a>"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(read_all(&wide).unwrap(), "é");
        assert_eq!(root_of(&Sniff::new("r", &wide)).unwrap().name(), "a");
    }

    #[test]
    fn broken_xml_is_refused_with_its_place() {
        let place = |bytes: &[u8]| {
            let refusal = read_all(bytes).unwrap_err();
            (refusal.position.unwrap().line, refusal.to_string())
        };
        let (line, text) = place(b"<a>\n\n<b></c></a>");
        assert!(line == 3 && text.contains("broken"), "{text}");
        let (line, text) = place(b"<a>\n<b>x");
        assert!(line == 2 && text.contains("cut off"), "{text}");
        let (line, text) = place(b"<a>\n\n<b attr=\"x");
        assert!(line == 3 && text.contains("cut off"), "{text}");
        let (_, text) = place(b"hello");
        assert!(text.contains("not XML"), "{text}");
        assert_eq!(
            read_all(b"<a>1&#0;&#xD800;2&#x10;</a>").unwrap(),
            "1\u{FFFD}\u{FFFD}2\u{10}"
        );
        let (_, text) = place(b"<a>&nope;</a>");
        assert!(text.contains("&nope;"), "{text}");
        assert!(read_all(b"").is_err());
        assert!(read_all(b"  \n").is_err());
        let deep = "<a>".repeat(300) + &"</a>".repeat(300);
        let (_, text) = place(deep.as_bytes());
        assert!(text.contains("200"), "{text}");
    }

    #[test]
    fn document_types_are_refused() {
        let plain = b"<!DOCTYPE r SYSTEM \"file:///etc/passwd\"><r/>";
        let refusal = read_all(plain).unwrap_err();
        assert!(refusal.message.contains("DOCTYPE"), "{refusal}");
        assert_eq!(root_of(&Sniff::new("r", plain)).unwrap().name(), "r");
        let tolerant = |bytes| Xml::open_with_doctype(Report::from_bytes("r", bytes)).map(|_| ());
        assert!(tolerant(plain).is_ok());
        assert!(tolerant(b"<!DOCTYPE r [<!ELEMENT r ANY>]><r/>").is_ok());
        assert!(tolerant(b"<!DOCTYPE r [<!ENTITY e \"x\">]><r>&e;</r>").is_err());
    }

    #[test]
    fn the_root_is_seen_in_a_cut_off_head() {
        let sniff = Sniff::new("r", b"\xEF\xBB\xBF\n<p:r a='1' b='2'><x><y");
        let tag = root_of(&sniff).unwrap();
        assert_eq!((tag.name(), tag.attr("b").as_deref()), ("r", Some("2")));
        assert!(root_of(&Sniff::new("r", b"{\"a\": 1}")).is_none());
        assert!(root_of(&Sniff::new("r", b"<r a='1")).is_none());
    }
}
