//! JSON reports, read element by element without holding the file.
//!
//! A scanner walks down to its records with [`Json::object`] and [`Json::list`] and takes each of
//! them as a typed value with [`Json::record`]:
//!
//! ```ignore
//! json::read(report, |json| {
//!     json.object(|json, key| match key {
//!         "findings" => json.records(sink, |finding: Finding, sink| sink.finding(map(finding))),
//!         _ => json.skip(),
//!     })
//! })
//! ```
//!
//! Only the record at hand lies in memory. A record that doesn't fit its type becomes a warning that names its place in the report,
//! such as `Results[3].Vulnerabilities[12]`, and so does one with broken syntax inside of its brackets;
//! broken syntax anywhere else refuses the report with line and column.

mod lenient;
mod outline;

use std::cell::Cell;
use std::fmt::{Display, Write as _};
use std::io::BufRead as _;
use std::rc::Rc;

use memchr::{memchr_iter, memchr2, memrchr};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;

use super::source::{CUT_OFF, Source, empty, unreadable};
use crate::{Refusal, Report, Sink, Stop, TOLD, Warning};

pub use lenient::{Decimal, Flag, Int, List, OneOrMany, Pairs, Text, Texts, nullable};
pub use outline::{Outline, outline};

/// How deep a report may nest; more is an attack, not a report.
pub const MAX_DEPTH: usize = 128;

const CHUNK: usize = 128 * 1024;

/// A record up to this length may have any number of parts; they are counted in longer ones only.
const SHORT: usize = 256 * 1024;

/// How many values a record may have in it: each may take hundreds of times its length in memory.
const MAX_PARTS: usize = 200_000;

/// How much of a value may be held only to see whether it is sound.
const HELD_TO_SKIP: usize = 1024 * 1024;

/// What kind of value comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Object,
    List,
    Text,
    Number,
    Bool,
    Null,
}

impl Kind {
    /// As a sentence puts it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::List => "a list",
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Bool => "true or false",
            Self::Null => "null",
        }
    }
}

/// Reads a whole report with `walk` and sees to it that nothing follows.
pub fn read<T>(
    report: Report<'_>,
    walk: impl FnOnce(&mut Json<'_>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let mut json = Json::open(report)?;
    let value = walk(&mut json)?;
    json.finish()?;
    Ok(value)
}

/// Reads a report of several values one after the other, such as JSON Lines, each with `walk`. Paths
/// begin with `[0]`, `[1]` and so on, as if they were one list.
pub fn read_lines(
    report: Report<'_>,
    mut walk: impl FnMut(&mut Json<'_>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut json = Json::open(report)?;
    let mut index = 0;
    while json.peek_byte()?.is_some() {
        json.path.push(Step::Index(index));
        json.visit(&mut walk)?;
        index += 1;
    }
    Ok(())
}

/// A report at some place within its JSON.
pub struct Json<'r> {
    source: Source<'r>,
    buf: Vec<u8>,
    /// The next byte to look at in `buf`.
    pos: usize,
    /// Line ends before `buf`, and bytes between the last of them and `buf`.
    lines: u64,
    column: u64,
    path: Vec<Step>,
    /// Values passed so far; tells whether a caller has taken the value it was shown.
    passed: u64,
    /// Warnings so far.
    warned: Cell<u64>,
}

enum Step {
    Key(Rc<str>),
    Index(usize),
}

/// What came of taking a value at once, where it didn't fit or isn't there whole.
struct Tried {
    /// How much of the report was looked at.
    seen: usize,
    error: Option<serde_json::Error>,
}

/// A value that is not of the wanted type.
struct Misfit {
    /// Where in `buf` it begins.
    start: usize,
    /// `None` where it has more than [`MAX_PARTS`].
    error: Option<serde_json::Error>,
}

impl Misfit {
    /// Isn't it even JSON?
    fn is_broken(&self) -> bool {
        (self.error.as_ref()).is_some_and(|error| error.classify() != Category::Data)
    }

    fn message(&self) -> String {
        match &self.error {
            None => format!("is a record of more than {MAX_PARTS} values"),
            Some(error) if self.is_broken() => format!("broken JSON: {}", without_place(error)),
            Some(error) => without_place(error),
        }
    }
}

impl<'r> Json<'r> {
    /// Opens a report that holds one JSON value. Byte order marks and UTF-16 are understood.
    pub fn open(report: Report<'r>) -> Result<Self, Refusal> {
        let mut json = Self {
            source: Source::decoded(report),
            buf: Vec::new(),
            pos: 0,
            lines: 0,
            column: 0,
            path: Vec::new(),
            passed: 0,
            warned: Cell::new(0),
        };
        match json.peek_byte()? {
            None => Err(empty()),
            Some(b'<') => Err(json
                .refuse("this is not JSON")
                .hint("it looks like XML or HTML")),
            Some(_) => Ok(json),
        }
    }

    /// The kind of the next value.
    pub fn kind(&mut self) -> Result<Kind, Refusal> {
        Ok(match self.peek_byte()? {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::List,
            Some(b'"') => Kind::Text,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            Some(b't') if self.begins("true") => Kind::Bool,
            Some(b'f') if self.begins("false") => Kind::Bool,
            Some(b'n') if self.begins("null") => Kind::Null,
            Some(_) => return Err(self.unexpected()),
            None => return Err(self.cut_off()),
        })
    }

    /// Shows `each` the members of the next value, one key after the other. `each` takes the
    /// member's value or leaves it, then it is skipped. `null` has no members; any other value than
    /// an object refuses the report.
    pub fn object(
        &mut self,
        mut each: impl FnMut(&mut Self, &str) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        if !self.enter(Kind::Object, b'{')? {
            return Ok(());
        }
        let mut first = true;
        while self.next_member(first, b'}')? {
            first = false;
            if self.peek_byte()? != Some(b'"') {
                return Err(self.unexpected());
            }
            let key: Rc<str> = self.value::<String>()?.into();
            match self.peek_byte()? {
                Some(b':') => self.pos += 1,
                Some(_) => return Err(self.unexpected()),
                None => return Err(self.cut_off()),
            }
            self.path.push(Step::Key(Rc::clone(&key)));
            self.visit(|json| each(json, &key))?;
        }
        self.passed += 1;
        Ok(())
    }

    /// Shows `each` the elements of the next value, one after the other, in the same manner. `null`
    /// has none; any other value than a list refuses the report.
    pub fn list(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        if !self.enter(Kind::List, b'[')? {
            return Ok(());
        }
        let mut index = 0;
        while self.next_member(index == 0, b']')? {
            self.path.push(Step::Index(index));
            self.visit(&mut each)?;
            index += 1;
        }
        self.passed += 1;
        Ok(())
    }

    /// As [`Json::list`], where each element must be an object; others are told to `sink`.
    pub fn objects(
        &mut self,
        sink: &mut dyn Sink,
        mut each: impl FnMut(&mut Self, &mut dyn Sink) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        if !self.expect(Kind::List, sink)? {
            return Ok(());
        }
        self.list(|json| {
            if json.expect(Kind::Object, sink)? {
                each(json, sink)?;
            }
            Ok(())
        })
    }

    /// Takes the elements of a list as records of one type. What doesn't fit becomes a warning.
    pub fn records<T: DeserializeOwned>(
        &mut self,
        sink: &mut dyn Sink,
        mut each: impl FnMut(T, &mut dyn Sink) -> Result<(), Stop>,
    ) -> Result<(), Refusal> {
        if !self.expect(Kind::List, sink)? {
            return Ok(());
        }
        self.list(|json| {
            if let Some(record) = json.record(sink)? {
                each(record, sink)?;
            }
            Ok(())
        })
    }

    /// Takes the next value as a `T`. One that doesn't fit is told to `sink` and passed over.
    pub fn record<T: DeserializeOwned>(
        &mut self,
        sink: &mut dyn Sink,
    ) -> Result<Option<T>, Refusal> {
        self.kind()?;
        let tried = match self.take_at_once() {
            Ok(value) => return Ok(Some(value)),
            Err(tried) => tried,
        };
        match self.take_whole(tried)? {
            Ok(value) => Ok(Some(value)),
            Err(misfit) => {
                sink.warning(self.warning_of(|| {
                    let (line, column) = self.place_of(&misfit);
                    format!("{} at line {line}, column {column}", misfit.message())
                }));
                Ok(None)
            }
        }
    }

    /// Takes the next value as a `T`. One that doesn't fit refuses the report.
    pub fn value<T: DeserializeOwned>(&mut self) -> Result<T, Refusal> {
        self.kind()?;
        let tried = match self.take_at_once() {
            Ok(value) => return Ok(value),
            Err(tried) => tried,
        };
        self.take_whole(tried)?.map_err(|misfit| {
            let (line, column) = self.place_of(&misfit);
            let (path, message) = (self.path(), misfit.message());
            let message = if misfit.is_broken() {
                self.named(&message)
            } else if path.is_empty() {
                message
            } else {
                format!("{path}: {message}")
            };
            Refusal::new(message).at(line, column)
        })
    }

    /// Is the next value of this kind? Else it is passed over, and told to `sink` unless `null`.
    pub fn expect(&mut self, wanted: Kind, sink: &mut dyn Sink) -> Result<bool, Refusal> {
        let kind = self.kind()?;
        if kind == wanted {
            return Ok(true);
        }
        if kind != Kind::Null {
            let (found, wanted) = (kind.name(), wanted.name());
            sink.warning(self.warning(format_args!("is {found}, expected {wanted}")));
        }
        self.skip()?;
        Ok(false)
    }

    /// Passes over the next value. Of one that is longer than a megabyte only the brackets and
    /// quotes are looked at, so that it needn't be held.
    pub fn skip(&mut self) -> Result<(), Refusal> {
        self.kind()?;
        if self.take_at_once::<IgnoredAny>().is_ok() {
            return Ok(());
        }
        let mut scan = Scan::default();
        let mut is_held = true;
        loop {
            match scan.advance(&self.buf[self.pos..]) {
                Progress::Broken => return Err(self.broken(&scan)),
                Progress::Done => break,
                Progress::Hungry => {
                    is_held &= scan.len < HELD_TO_SKIP;
                    if !is_held {
                        self.pos += scan.len;
                        scan.len = 0;
                    }
                    if !self.more()? {
                        if scan.bare && self.path.is_empty() {
                            break;
                        }
                        return Err(self.cut_off());
                    }
                }
            }
        }
        if is_held {
            let text = &self.buf[self.pos..self.pos + scan.len];
            // Half a character does no harm in what nobody reads.
            let checked = serde_json::from_slice::<IgnoredAny>(text);
            if let Some(error) = checked.err().filter(|error| !is_half_a_character(error)) {
                let (start, error) = (self.pos, Some(error));
                let misfit = Misfit { start, error };
                let (line, column) = self.place_of(&misfit);
                return Err(Refusal::new(self.named(&misfit.message())).at(line, column));
            }
        }
        self.pos += scan.len;
        self.passed += 1;
        Ok(())
    }

    /// Where in the report this is, such as `Results[3].Vulnerabilities[12]`; empty at the top.
    pub fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) if path.is_empty() => path.push_str(key),
                // Writing to a string doesn't fail.
                Step::Key(key) => drop(write!(path, ".{key}")),
                Step::Index(index) => drop(write!(path, "[{index}]")),
            }
        }
        path
    }

    /// Line and column of the next value, from 1. It counts lines: for what goes wrong only.
    pub fn place(&self) -> (u64, u64) {
        self.place_at(self.pos)
    }

    /// A warning about the value at hand. After [`TOLD`] of them it is one without words.
    pub fn warning(&self, message: impl Display) -> Warning {
        self.warning_of(|| message.to_string())
    }

    fn warning_of(&self, message: impl FnOnce() -> String) -> Warning {
        self.warned.set(self.warned.get() + 1);
        if self.warned.get() > TOLD {
            return Warning::default();
        }
        let path = self.path();
        Warning {
            record: if path.is_empty() {
                "the report".into()
            } else {
                path
            },
            message: message(),
        }
    }

    /// A refusal at this place.
    pub fn refuse(&self, message: impl Into<String>) -> Refusal {
        let (line, column) = self.place();
        Refusal::new(message).at(line, column)
    }

    /// Sees to it that nothing but white space follows.
    pub fn finish(mut self) -> Result<(), Refusal> {
        match self.peek_byte()? {
            None => Ok(()),
            Some(_) => Err(self
                .refuse("more follows after the end of the JSON value")
                .hint("send one report in one file")),
        }
    }

    /// Is it this word that comes next, as far as it has been read?
    fn begins(&self, word: &str) -> bool {
        let rest = &self.buf[self.pos..];
        rest.starts_with(word.as_bytes()) || word.as_bytes().starts_with(rest)
    }

    fn visit(
        &mut self,
        each: impl FnOnce(&mut Self) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let before = self.passed;
        each(self)?;
        if self.passed == before {
            self.skip()?;
        }
        self.path.pop();
        Ok(())
    }

    /// Steps into an object or list; `false` for `null`.
    fn enter(&mut self, wanted: Kind, opening: u8) -> Result<bool, Refusal> {
        let kind = self.kind()?;
        if kind == Kind::Null {
            self.skip()?;
            return Ok(false);
        }
        if self.buf.get(self.pos) != Some(&opening) {
            let path = self.path();
            let what = if path.is_empty() { "the report" } else { &path };
            let message = format!("{what} is {}, expected {}", kind.name(), wanted.name());
            return Err(self.refuse(message));
        }
        self.pos += 1;
        Ok(true)
    }

    /// Steps over the comma to the next member; `false` past the closing bracket.
    fn next_member(&mut self, first: bool, closing: u8) -> Result<bool, Refusal> {
        match self.peek_byte()? {
            Some(byte) if byte == closing => {
                self.pos += 1;
                return Ok(false);
            }
            Some(b',') if !first => self.pos += 1,
            Some(_) if first => return Ok(true),
            Some(_) => return Err(self.unexpected()),
            None => return Err(self.cut_off()),
        }
        match self.peek_byte()? {
            Some(byte) if byte == closing => Err(self.unexpected()),
            Some(_) => Ok(true),
            None => Err(self.cut_off()),
        }
    }

    /// Takes the next value in one pass, which is how nearly all of them are read: one that lies whole
    /// in `buf` and fits. Else it is left where it is.
    fn take_at_once<T: DeserializeOwned>(&mut self) -> Result<T, Tried> {
        let text = &self.buf[self.pos..];
        let seen = text.len();
        if seen > SHORT {
            return Err(Tried { seen, error: None });
        }
        let mut values = serde_json::Deserializer::from_slice(text).into_iter();
        let value = values.next();
        let len = values.byte_offset();
        match value {
            // A number at the end of `buf` may go on behind it.
            Some(Ok(value)) if len < seen => {
                self.pos += len;
                self.passed += 1;
                Ok(value)
            }
            value => {
                let error = value.and_then(Result::err);
                Err(Tried { seen, error })
            }
        }
    }

    /// Takes the next value after [`Json::take_at_once`] couldn't.
    #[cold]
    fn take_whole<T: DeserializeOwned>(
        &mut self,
        tried: Tried,
    ) -> Result<Result<T, Misfit>, Refusal> {
        let (len, parts) = self.measure()?;
        let start = self.pos;
        self.pos += len;
        self.passed += 1;
        if parts > MAX_PARTS {
            return Ok(Err(Misfit { start, error: None }));
        }
        let text = &self.buf[start..self.pos];
        let taken = match tried.error {
            // It was there whole, so it would be the same again.
            Some(error) if error.is_data() && len < tried.seen => Err(error),
            _ => serde_json::from_slice(text),
        };
        let taken = match taken {
            Err(error) if is_half_a_character(&error) => {
                serde_json::from_slice(&without_lone_surrogates(text))
            }
            taken => taken,
        };
        Ok(taken.map_err(|error| Misfit {
            start,
            error: Some(error),
        }))
    }

    /// The length of the next value, which lies whole in `buf` then, and how many values are in it.
    fn measure(&mut self) -> Result<(usize, usize), Refusal> {
        let mut scan = Scan::default();
        loop {
            match scan.advance(&self.buf[self.pos..]) {
                Progress::Done => return Ok((scan.len, scan.parts)),
                Progress::Hungry => {
                    if !self.more()? {
                        if scan.bare && self.path.is_empty() {
                            return Ok((scan.len, scan.parts));
                        }
                        return Err(self.cut_off());
                    }
                }
                Progress::Broken => return Err(self.broken(&scan)),
            }
        }
    }

    /// The next byte that isn't white space, without taking it.
    fn peek_byte(&mut self) -> Result<Option<u8>, Refusal> {
        loop {
            while let Some(byte) = self.buf.get(self.pos) {
                if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                    return Ok(Some(*byte));
                }
                self.pos += 1;
            }
            if !self.more()? {
                return Ok(None);
            }
        }
    }

    /// Reads on; `false` at the end of the report. Lets go of what lies before `pos`.
    fn more(&mut self) -> Result<bool, Refusal> {
        if self.pos > 0 {
            let done = &self.buf[..self.pos];
            self.lines += memchr_iter(b'\n', done).count() as u64;
            self.column = match memrchr(b'\n', done) {
                Some(at) => (done.len() - at - 1) as u64,
                None => self.column + done.len() as u64,
            };
            self.buf.drain(..self.pos);
            self.pos = 0;
            self.source.begin_piece();
        }
        // A record that outgrows the chunks is read in ever larger ones.
        let before = self.buf.len();
        let wanted = before + CHUNK.max(before);
        while self.buf.len() < wanted {
            let block = match self.source.fill_buf() {
                Ok(block) => block,
                Err(error) => return Err(unreadable(&error, self.source.position())),
            };
            let len = block.len().min(wanted - self.buf.len());
            if len == 0 {
                break;
            }
            self.buf.extend_from_slice(&block[..len]);
            self.source.consume(len);
        }
        Ok(self.buf.len() > before)
    }

    /// Line and column, from 1, of the byte at this place in `buf`.
    fn place_at(&self, at: usize) -> (u64, u64) {
        let seen = &self.buf[..at.min(self.buf.len())];
        let line = self.lines + memchr_iter(b'\n', seen).count() as u64 + 1;
        let column = match memrchr(b'\n', seen) {
            Some(at) => (seen.len() - at) as u64,
            None => self.column + seen.len() as u64 + 1,
        };
        (line, column)
    }

    /// Line and column of what is wrong in a value.
    fn place_of(&self, misfit: &Misfit) -> (u64, u64) {
        let (line, column) = self.place_at(misfit.start);
        let Some(error) = &misfit.error else {
            return (line, column);
        };
        let below = (error.line() as u64).saturating_sub(1);
        let inside = error.column() as u64;
        let column = if below == 0 {
            column + inside.saturating_sub(1)
        } else {
            inside
        };
        (line + below, column)
    }

    fn broken(&self, scan: &Scan) -> Refusal {
        let (line, column) = self.place_at(self.pos + scan.len);
        let message = if scan.depth >= MAX_DEPTH {
            format!("the JSON is nested deeper than {MAX_DEPTH} levels")
        } else {
            "broken JSON: a bracket is closed that wasn't opened".to_owned()
        };
        Refusal::new(self.named(&message)).at(line, column)
    }

    fn unexpected(&self) -> Refusal {
        let rest = &self.buf[self.pos..];
        let text = String::from_utf8_lossy(&rest[..rest.len().min(16)]);
        let what: String = text
            .chars()
            .take_while(|c| !c.is_whitespace())
            .take(12)
            .collect();
        if self.path.is_empty() && self.passed == 0 {
            return self
                .refuse(format!("this is not JSON: it begins with \"{what}\""))
                .hint("is this the right file for the scan type?");
        }
        self.refuse(self.named(&format!("broken JSON: unexpected \"{what}\"")))
    }

    fn cut_off(&self) -> Refusal {
        let (line, column) = self.place_at(self.buf.len());
        let path = self.path();
        let message = if path.is_empty() {
            "the file ends in the middle".to_owned()
        } else {
            format!("the file ends in the middle of {path}")
        };
        Refusal::new(message).at(line, column).hint(CUT_OFF)
    }

    fn named(&self, message: &str) -> String {
        let path = self.path();
        if path.is_empty() {
            message.to_owned()
        } else {
            format!("{message} in {path}")
        }
    }
}

/// Finds the end of a value by its brackets and quotes. It can be fed in pieces.
#[derive(Default)]
struct Scan {
    /// Bytes of the value seen.
    len: usize,
    depth: usize,
    /// Values in it, give or take those that are alone in their brackets.
    parts: usize,
    /// A bit for each open bracket, innermost lowest: 1 for an object.
    open: u128,
    started: bool,
    in_text: bool,
    escaped: bool,
    /// A number or a word such as `true`, which ends where something else begins, or with the report.
    bare: bool,
}

enum Progress {
    Done,
    Hungry,
    Broken,
}

impl Scan {
    /// Goes on in `text`, the bytes of the value from its beginning (or from the last `len = 0`).
    fn advance(&mut self, text: &[u8]) -> Progress {
        if !self.started {
            match text.get(self.len) {
                None => return Progress::Hungry,
                Some(b'{' | b'[' | b'"') => {}
                Some(_) => self.bare = true,
            }
            self.started = true;
        }
        if self.bare {
            let rest = &text[self.len..];
            let end = (rest.iter()).position(|b| {
                matches!(b, b',' | b']' | b'}' | b':' | b' ' | b'\n' | b'\r' | b'\t')
            });
            self.len += end.unwrap_or(rest.len());
            return if end.is_some() {
                Progress::Done
            } else {
                Progress::Hungry
            };
        }
        while let Some(&byte) = text.get(self.len) {
            if self.escaped {
                self.escaped = false;
                self.len += 1;
            } else if self.in_text {
                let Some(at) = memchr2(b'"', b'\\', &text[self.len..]) else {
                    self.len = text.len();
                    return Progress::Hungry;
                };
                self.escaped = text[self.len + at] == b'\\';
                self.in_text = self.escaped;
                self.len += at + 1;
                if !self.in_text && self.depth == 0 {
                    return Progress::Done;
                }
            } else {
                match byte {
                    b'"' => self.in_text = true,
                    b'{' | b'[' => {
                        if self.depth >= MAX_DEPTH {
                            return Progress::Broken;
                        }
                        self.depth += 1;
                        self.parts += 1;
                        self.open = self.open << 1 | u128::from(byte == b'{');
                    }
                    b',' => self.parts += 1,
                    b'}' | b']' => {
                        if self.depth == 0 || (self.open & 1 == 1) != (byte == b'}') {
                            return Progress::Broken;
                        }
                        self.open >>= 1;
                        self.depth -= 1;
                        if self.depth == 0 {
                            self.len += 1;
                            return Progress::Done;
                        }
                    }
                    _ => {}
                }
                self.len += 1;
            }
        }
        Progress::Hungry
    }
}

/// What is wrong, without the place, which serde counts from the value's beginning.
fn without_place(error: &serde_json::Error) -> String {
    let mut message = error.to_string();
    if let Some(at) = message.rfind(" at line ") {
        message.truncate(at);
    }
    message
}

fn is_half_a_character(error: &serde_json::Error) -> bool {
    if error.is_data() {
        return false;
    }
    let message = error.to_string();
    message.contains("surrogate") || message.contains("hex escape")
}

/// Replaces escapes of half a character, which some tools write and JSON forbids, by U+FFFD.
fn without_lone_surrogates(text: &[u8]) -> Vec<u8> {
    let unit = |at: usize| -> Option<u32> {
        let hex = text.get(at..)?.strip_prefix(b"\\u")?.get(..4)?;
        u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
    };
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let whole = match unit(at) {
            None if byte == b'\\' => 2,
            None => 1,
            Some(0xd800..0xdc00) if matches!(unit(at + 6), Some(0xdc00..0xe000)) => 12,
            Some(0xd800..0xe000) => {
                out.extend_from_slice(b"\\ufffd");
                at += 6;
                continue;
            }
            Some(_) => 6,
        };
        let end = (at + whole).min(text.len());
        out.extend_from_slice(&text[at..end]);
        at = end;
    }
    out
}

#[cfg(test)]
mod tests;
