//! The bytes of a report as UTF-8, whatever encoding they came in, with the line they are at.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use encoding_rs::{Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use memchr::{memchr_iter, memrchr};

use crate::{Position, Refusal, Report};

/// Said wherever a report ends too early.
pub const CUT_OFF: &str = "was the upload cut off?";

const BLOCK: usize = 64 * 1024;

/// How much one record or one piece of markup may take, so that nobody fills the memory with a
/// report that is one endless field.
const MAX_PIECE: u64 = 16 * 1024 * 1024;

/// Reads a report block by block, in UTF-8. It counts lines a block at a time, and looks at single
/// bytes only when somebody asks for the position.
pub struct Source<'a> {
    report: Report<'a>,
    /// `None`: the bytes go through as they are.
    decoder: Option<Decoder>,
    raw: Vec<u8>,
    raw_start: usize,
    raw_end: usize,
    block: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
    /// Bytes, line ends and quotes before the current block, and where its first line began.
    before: u64,
    newlines: u64,
    quotes: u64,
    line_start: u64,
    last_byte: u8,
    piece_start: u64,
    max_piece: u64,
}

impl<'a> Source<'a> {
    /// Takes the encoding from the byte order mark, else from the XML declaration, else UTF-8;
    /// bytes that are wrong in it become U+FFFD.
    pub fn decoded(report: Report<'a>) -> Self {
        let encoding = encoding_of(report.sniff().bytes());
        Self::new(report, Some(encoding.new_decoder()))
    }

    /// Decodes UTF-16 only and leaves anything else, save a byte order mark, as it is.
    pub fn bytes(report: Report<'a>) -> Self {
        let head = report.sniff().bytes();
        let encoding = wide_encoding_of(head);
        let has_mark = head.starts_with(b"\xEF\xBB\xBF");
        let mut source = Self::new(report, encoding.map(Encoding::new_decoder));
        if has_mark {
            // A report that begins with the mark has these three bytes, and errors come back later.
            let mut mark = [0; 3];
            let _ = source.report.read_exact(&mut mark);
        }
        source
    }

    fn new(report: Report<'a>, decoder: Option<Decoder>) -> Self {
        // Most reports are smaller than a block.
        let size = report.sniff().bytes().len().clamp(1024, BLOCK);
        let raw = vec![0; if decoder.is_some() { size } else { 0 }];
        Self {
            report,
            decoder,
            raw,
            raw_start: 0,
            raw_end: 0,
            block: vec![0; size],
            start: 0,
            end: 0,
            ended: false,
            before: 0,
            newlines: 0,
            quotes: 0,
            line_start: 0,
            last_byte: 0,
            piece_start: 0,
            max_piece: MAX_PIECE,
        }
    }

    /// Bytes handed out so far.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.before + self.start as u64
    }

    /// The place of the next byte.
    pub fn position(&self) -> Position {
        let read = &self.block[..self.start];
        let line_start = match memrchr(b'\n', read) {
            Some(at) => self.before + at as u64 + 1,
            None => self.line_start,
        };
        Position {
            line: self.newlines + count(read, b'\n') + 1,
            column: self.offset() - line_start + 1,
        }
    }

    /// The next record begins: the cap on its size counts from here.
    #[inline]
    pub fn begin_piece(&mut self) {
        self.piece_start = self.offset();
    }

    /// For formats whose records are short: sets a lower cap on them.
    #[must_use]
    pub fn with_pieces_up_to(mut self, bytes: u64) -> Self {
        self.max_piece = self.max_piece.min(bytes);
        self
    }

    /// Was everything handed out?
    pub fn at_end(&mut self) -> io::Result<bool> {
        Ok(self.fill_buf()?.is_empty())
    }

    /// The byte before the current position's block end; a newline at the end of a tidy text file.
    pub fn last_byte(&self) -> u8 {
        self.last_byte
    }

    /// Double quotes in everything read so far.
    pub fn quotes(&self) -> u64 {
        self.quotes
    }

    fn refill(&mut self) -> io::Result<()> {
        let done = &self.block[..self.end];
        if let Some(at) = memrchr(b'\n', done) {
            self.line_start = self.before + at as u64 + 1;
        }
        self.newlines += count(done, b'\n');
        self.before += self.end as u64;
        (self.start, self.end) = (0, 0);
        while self.end == 0 && !self.ended {
            self.read_block()?;
        }
        let block = &self.block[..self.end];
        self.quotes += count(block, b'"');
        self.last_byte = block.last().copied().unwrap_or(self.last_byte);
        Ok(())
    }

    fn read_block(&mut self) -> io::Result<()> {
        let Some(decoder) = &mut self.decoder else {
            self.end = self.report.read(&mut self.block)?;
            self.ended = self.end == 0;
            return Ok(());
        };
        let mut last = false;
        if self.raw_start == self.raw_end {
            self.raw_start = 0;
            self.raw_end = self.report.read(&mut self.raw)?;
            last = self.raw_end == 0;
        }
        let raw = &self.raw[self.raw_start..self.raw_end];
        let (result, read, written, _) = decoder.decode_to_utf8(raw, &mut self.block, last);
        self.raw_start += read;
        self.end = written;
        self.ended = last && result == encoding_rs::CoderResult::InputEmpty;
        Ok(())
    }
}

impl BufRead for Source<'_> {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end && !self.ended {
            if self.offset() - self.piece_start > self.max_piece {
                return Err(io::Error::other(format!(
                    "one record is longer than {} MB",
                    self.max_piece / 1024 / 1024
                )));
            }
            self.refill()?;
        }
        Ok(&self.block[self.start..self.end])
    }

    #[inline]
    fn consume(&mut self, amount: usize) {
        self.start = (self.start + amount).min(self.end);
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let block = self.fill_buf()?;
        let n = block.len().min(buf.len());
        buf[..n].copy_from_slice(&block[..n]);
        self.consume(n);
        Ok(n)
    }
}

/// A report that could not be read on: the disk, the network or the size cap.
pub fn unreadable(error: &io::Error, at: Position) -> Refusal {
    Refusal::new(format!("the report cannot be read: {error}")).at(at.line, at.column)
}

/// A report of which nothing is there.
pub fn empty() -> Refusal {
    Refusal::new("the report is empty").hint("send the scanner's report file itself")
}

/// The head of a report as [`Source::bytes`] hands it out.
pub fn head_as_utf8(head: &[u8]) -> Cow<'_, [u8]> {
    if wide_encoding_of(head).is_none() {
        return head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).into();
    }
    let mut text = Vec::new();
    // Reading from memory doesn't fail.
    let _ = Source::bytes(Report::from_bytes("", head)).read_to_end(&mut text);
    text.into()
}

fn count(bytes: &[u8], wanted: u8) -> u64 {
    memchr_iter(wanted, bytes).count() as u64
}

fn encoding_of(head: &[u8]) -> &'static Encoding {
    if let Some(wide) = wide_encoding_of(head) {
        return wide;
    }
    let declaration = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    let declared = declared_encoding(declaration).and_then(Encoding::for_label);
    match declared {
        // The declaration could be read byte by byte, so it isn't UTF-16, whatever it says.
        Some(wide) if wide == UTF_16LE || wide == UTF_16BE => UTF_8,
        Some(encoding) => encoding,
        None => UTF_8,
    }
}

/// UTF-16 by its mark, or by the zero in one of the first two bytes, as text begins with ASCII here.
fn wide_encoding_of(head: &[u8]) -> Option<&'static Encoding> {
    match head {
        [0xFF, 0xFE, ..] => Some(UTF_16LE),
        [0xFE, 0xFF, ..] => Some(UTF_16BE),
        [0, low, ..] if *low != 0 => Some(UTF_16BE),
        [low, 0, ..] if *low != 0 => Some(UTF_16LE),
        _ => None,
    }
}

/// The label in `<?xml version="1.0" encoding="label"?>`.
fn declared_encoding(head: &[u8]) -> Option<&[u8]> {
    if !head.starts_with(b"<?xml") {
        return None;
    }
    let head = &head[..head.len().min(512)];
    let head = &head[..head.windows(2).position(|w| w == b"?>")?];
    let name = b"encoding";
    let at = head.windows(name.len()).position(|w| w == name)? + name.len();
    let rest = head[at..].trim_ascii_start().strip_prefix(b"=")?;
    let rest = rest.trim_ascii_start();
    let quote = rest.first()?;
    let label = &rest[1..];
    label.split(|b| b == quote).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> String {
        let mut text = String::new();
        Source::decoded(Report::from_bytes("r", bytes))
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    #[test]
    fn every_encoding_comes_out_as_utf8() {
        assert_eq!(read("é€".as_bytes()), "é€");
        assert_eq!(read(b"\xEF\xBB\xBFa"), "a");
        let text = "<?xml version='1.0' encoding='UTF-16'?><a>é€</a>";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(read(&little), text);
        assert_eq!(read(&big), text);
        assert_eq!(read(&[&[0xFF, 0xFE], &little[..]].concat()), text);
        assert_eq!(read(&[&[0xFE, 0xFF], &big[..]].concat()), text);
        let legacy = b"<?xml version=\"1.0\" encoding=\"windows-1252\"?><a>\x80\xE9</a>";
        assert!(read(legacy).ends_with("<a>€é</a>"));
        let wrong = b"<?xml version=\"1.0\" encoding=\"utf-16\"?><a/>";
        assert!(read(wrong).ends_with("<a/>"));
        assert_eq!(read(b"a\xFFb"), "a\u{FFFD}b");
    }

    #[test]
    fn positions_hold_across_blocks() {
        let text = "12345678\n".repeat(20_000) + "xyz";
        let mut source = Source::bytes(Report::from_bytes("r", text.as_bytes()));
        let mut buf = vec![0; text.len() - 1];
        source.read_exact(&mut buf).unwrap();
        assert_eq!(source.position().line, 20_001);
        assert_eq!(source.position().column, 3);
    }
}
