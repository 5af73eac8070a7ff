//! HTML reports: start tags, end tags and texts, one after the other. No tree is built, and what is in
//! scripts, styles and comments isn't there.
//!
//! ```ignore
//! let mut page = Page::open(report)?;
//! while let Some(event) = page.next()? {
//!     match event {
//!         Event::Start(tag) if tag.name() == "td" && tag.has_class("severity") => {
//!             severity = page.text_of("td")?;
//!         }
//!         _ => {}
//!     }
//! }
//! ```
//!
//! Tags are told from text as the [HTML standard](https://html.spec.whatwg.org/#tokenization) does it, so
//! nothing is ever broken; end tags need not be there. No more than one tag or text is held.

use std::io::BufRead as _;
use std::ops::Range;

use htmlize::{unescape, unescape_attribute};
use memchr::{memchr, memmem};

use super::source::{Source, empty, unreadable};
use crate::{Position, Refusal, Report};

/// A step through a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A start tag. Elements that have no content (`br`, `img`) have no end tag either.
    Start(Tag),
    /// An end tag of this name, in lower case.
    End(String),
    /// Text, with entities resolved.
    Text(String),
}

/// A start tag with its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// What stands between the angle brackets, the name in lower case.
    content: String,
    name_len: usize,
}

impl Tag {
    fn new(content: &str) -> Self {
        let name_len = name_of(content).len();
        let mut content = content.to_owned();
        content[..name_len].make_ascii_lowercase();
        Self { content, name_len }
    }

    /// The name in lower case.
    pub fn name(&self) -> &str {
        &self.content[..self.name_len]
    }

    /// The value of an attribute.
    pub fn attr(&self, name: &str) -> Option<String> {
        let (_, value) = self
            .attributes()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        Some(unescape_attribute(value).into_owned())
    }

    /// Is it of this class?
    pub fn has_class(&self, class: &str) -> bool {
        let all = self
            .attributes()
            .find(|(n, _)| n.eq_ignore_ascii_case("class"));
        all.is_some_and(|(_, all)| all.split_ascii_whitespace().any(|c| c == class))
    }

    fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut rest = &self.content[self.name_len..];
        std::iter::from_fn(move || {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
            let name_end = |c: char| c.is_ascii_whitespace() || matches!(c, '/' | '=');
            // An equals sign at the very start belongs to the name.
            let skip = usize::from(rest.starts_with('='));
            let len = rest[skip..]
                .find(name_end)
                .map_or(rest.len(), |at| at + skip);
            let (name, after) = rest.split_at(len);
            let value = after.trim_ascii_start().strip_prefix('=');
            let (value, after) = match value.map(str::trim_ascii_start) {
                None => ("", after),
                Some(value) => match value.chars().next().filter(|c| matches!(c, '"' | '\'')) {
                    Some(quote) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
                    None => value.split_at(
                        value
                            .find(|c: char| c.is_ascii_whitespace())
                            .unwrap_or(value.len()),
                    ),
                },
            };
            rest = after;
            (!name.is_empty()).then_some((name, value))
        })
    }
}

/// A cursor in an HTML report.
pub struct Page<'a> {
    source: Source<'a>,
    buf: String,
    /// The next byte to look at in `buf`.
    pos: usize,
    /// The element of [`PLAIN`] that was just entered.
    plain: Option<&'static str>,
}

/// A step through a page, as places in [`Page::buf`].
enum Step {
    /// What stands between the angle brackets.
    Start(Range<usize>),
    /// The same, without the slash.
    End(Range<usize>),
    Text(Range<usize>),
}

/// Elements whose content isn't text for people.
const HIDDEN: [&str; 8] = [
    "script", "style", "template", "iframe", "noembed", "noframes", "noscript", "xmp",
];
/// Elements whose content is text, whatever stands in it.
const PLAIN: [&str; 2] = ["title", "textarea"];

impl<'a> Page<'a> {
    /// Opens a report that begins with a tag.
    pub fn open(report: Report<'a>) -> Result<Self, Refusal> {
        if report.is_empty() {
            return Err(empty());
        }
        if !super::xml::is_markup(&report.sniff()) {
            return Err(Refusal::new(
                "this is not HTML: it doesn't begin with a tag",
            ));
        }
        Ok(Self {
            source: Source::decoded(report),
            buf: String::new(),
            pos: 0,
            plain: None,
        })
    }

    /// The next step; `None` at the end of the page.
    #[allow(
        clippy::should_implement_trait,
        reason = "it fails, as those of its siblings do"
    )]
    pub fn next(&mut self) -> Result<Option<Event>, Refusal> {
        Ok(self.step()?.map(|step| match step {
            Step::Start(tag) => Event::Start(Tag::new(&self.buf[tag])),
            Step::End(tag) => Event::End(name_of(&self.buf[tag]).to_ascii_lowercase()),
            Step::Text(text) => Event::Text(unescape(&self.buf[text]).into_owned()),
        }))
    }

    fn step(&mut self) -> Result<Option<Step>, Refusal> {
        if let Some(element) = self.plain.take() {
            let text = self.raw_text(element)?;
            if !text.is_empty() {
                return Ok(Some(Step::Text(text)));
            }
        }
        loop {
            self.look_ahead(4)?;
            let ahead = &self.buf.as_bytes()[self.pos..];
            match ahead {
                [] => return Ok(None),
                [b'<', b'!', b'-', b'-', ..] => self.pass("-->")?,
                [b'<', b'/', c, ..] if c.is_ascii_alphabetic() => {
                    let tag = self.take_tag()?;
                    return Ok(tag.map(|tag| Step::End(tag.start + 1..tag.end)));
                }
                [b'<', b'!' | b'?' | b'/', ..] => self.pass(">")?,
                [b'<', c, ..] if c.is_ascii_alphabetic() => {
                    let Some(tag) = self.take_tag()? else {
                        return Ok(None);
                    };
                    let name = name_of(&self.buf[tag.clone()]);
                    let one_of = |names: &[&'static str]| {
                        (names.iter().copied()).find(|known| name.eq_ignore_ascii_case(known))
                    };
                    if let Some(hidden) = one_of(&HIDDEN) {
                        self.raw_text(hidden)?;
                        self.take_tag()?;
                        continue;
                    }
                    self.plain = one_of(&PLAIN);
                    return Ok(Some(Step::Start(tag)));
                }
                _ => {
                    let len = self.find_byte(1, b'<')?;
                    self.pos += len;
                    return Ok(Some(Step::Text(self.pos - len..self.pos)));
                }
            }
        }
    }

    /// All text up to the end tag that closes the element just entered, whose name this is. Elements of
    /// the same name within it count.
    pub fn text_of(&mut self, name: &str) -> Result<String, Refusal> {
        let mut text = String::new();
        self.walk(name, |piece| text.push_str(&unescape(piece)))?;
        Ok(text)
    }

    /// Goes as far as [`Page::text_of`] does, whatever the text is.
    pub fn pass_over(&mut self, name: &str) -> Result<(), Refusal> {
        self.walk(name, |_| ())
    }

    fn walk(&mut self, name: &str, mut each: impl FnMut(&str)) -> Result<(), Refusal> {
        let mut depth = 1_usize;
        while let Some(step) = self.step()? {
            match step {
                Step::Text(text) => each(&self.buf[text]),
                Step::Start(tag) => depth += usize::from(self.is_called(tag, name)),
                Step::End(tag) => depth -= usize::from(self.is_called(tag, name)),
            }
            if depth == 0 {
                break;
            }
        }
        Ok(())
    }

    fn is_called(&self, tag: Range<usize>, name: &str) -> bool {
        name_of(&self.buf[tag]).eq_ignore_ascii_case(name)
    }

    /// Where the cursor is, give or take a few kilobytes.
    pub fn position(&self) -> Position {
        self.source.position()
    }

    /// Takes the text of an element in which nothing but its end tag is markup, up to that tag.
    fn raw_text(&mut self, element: &str) -> Result<Range<usize>, Refusal> {
        let mut len = 0;
        loop {
            len = self.find_byte(len, b'<')?;
            self.look_ahead(len + "</".len() + element.len() + 1)?;
            if is_end_of(element, &self.buf.as_bytes()[self.pos + len..]) {
                self.pos += len;
                return Ok(self.pos - len..self.pos);
            }
            len += 1;
        }
    }

    /// Takes the tag that begins here, and gives what stands between its brackets. `None` where the page
    /// ends in it.
    fn take_tag(&mut self) -> Result<Option<Range<usize>>, Refusal> {
        let mut len = 1;
        let mut is_value = false;
        loop {
            let Some(byte) = self.buf.as_bytes().get(self.pos + len) else {
                if self.more()? {
                    continue;
                }
                self.pos = self.buf.len();
                return Ok(None);
            };
            match byte {
                b'>' => break,
                quote @ (b'"' | b'\'') if is_value => {
                    let quote = *quote;
                    len = self.find_byte(len + 1, quote)?;
                    is_value = false;
                }
                b'=' => is_value = true,
                byte => is_value &= byte.is_ascii_whitespace(),
            }
            len += 1;
        }
        self.pos += len + 1;
        Ok(Some(self.pos - len..self.pos - 1))
    }

    /// Goes behind the next `end`, or to the end of the page.
    fn pass(&mut self, end: &str) -> Result<(), Refusal> {
        loop {
            let ahead = &self.buf.as_bytes()[self.pos..];
            if let Some(at) = memmem::find(ahead, end.as_bytes()) {
                self.pos += at + end.len();
                return Ok(());
            }
            // What is passed over needn't be held, save for a beginning of the end.
            self.pos += ahead.len().saturating_sub(end.len());
            while !self.buf.is_char_boundary(self.pos) {
                self.pos -= 1;
            }
            if !self.more()? {
                self.pos = self.buf.len();
                return Ok(());
            }
        }
    }

    /// How far it is to the next such byte at `from` or behind it, or to the end of the page.
    fn find_byte(&mut self, from: usize, byte: u8) -> Result<usize, Refusal> {
        let mut from = from;
        loop {
            let ahead = &self.buf.as_bytes()[self.pos..];
            let unseen = ahead.get(from..).unwrap_or_default();
            if let Some(at) = memchr(byte, unseen) {
                return Ok(from + at);
            }
            from = ahead.len();
            if !self.more()? {
                return Ok(from);
            }
        }
    }

    /// Sees to it that so many bytes lie in `buf`, where there are so many.
    fn look_ahead(&mut self, bytes: usize) -> Result<(), Refusal> {
        while self.buf.len() - self.pos < bytes && self.more()? {}
        Ok(())
    }

    /// Reads on; `false` at the end of the report. Lets go of what lies before `pos`.
    fn more(&mut self) -> Result<bool, Refusal> {
        if self.pos > 0 {
            self.buf.drain(..self.pos);
            self.pos = 0;
            self.source.begin_piece();
        }
        let block = match self.source.fill_buf() {
            Ok(block) => block,
            Err(error) => return Err(unreadable(&error, self.source.position())),
        };
        let len = block.len();
        match std::str::from_utf8(block) {
            Ok(text) => self.buf.push_str(text),
            // Can't be: the source hands out whole characters.
            Err(_) => self.buf.push_str(&String::from_utf8_lossy(block)),
        }
        self.source.consume(len);
        Ok(len > 0)
    }
}

/// The name at the start of what stands between the angle brackets.
fn name_of(content: &str) -> &str {
    let ends = |b: &u8| b.is_ascii_whitespace() || *b == b'/';
    let len = content.bytes().position(|b| ends(&b));
    &content[..len.unwrap_or(content.len())]
}

/// Is it the end tag of this element, or the end of the page?
fn is_end_of(element: &str, text: &[u8]) -> bool {
    let Some(rest) = text.strip_prefix(b"</") else {
        return text.is_empty();
    };
    let ends = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'/' | b'>');
    rest.split_at_checked(element.len())
        .is_some_and(|(name, after)| {
            name.eq_ignore_ascii_case(element.as_bytes()) && after.first().is_none_or(ends)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(html: &str) -> Vec<String> {
        let mut page = Page::open(Report::from_bytes("r.html", html.as_bytes())).unwrap();
        let mut seen = Vec::new();
        while let Some(event) = page.next().unwrap() {
            seen.push(match event {
                Event::Start(tag) => format!("<{}>", tag.name()),
                Event::End(name) => format!("</{name}>"),
                Event::Text(text) => text,
            });
        }
        seen
    }

    #[test]
    fn tags_and_texts_come_in_turn() {
        assert_eq!(
            events("<!DOCTYPE html><P>a &amp; b<br>c<!-- no --><script>if (a<b) x()</script></p>"),
            ["<p>", "a & b", "<br>", "c", "</p>"]
        );
        assert_eq!(events("<td>cut off <b"), ["<td>", "cut off "]);
    }

    #[test]
    fn everything_is_a_tag_or_a_text() {
        for (html, seen) in [
            ("<p title='a>b' x=\"<\" y=c/>d", &["<p>", "d"][..]),
            (
                "<b>1 < 2 && 3 > 2</b>",
                &["<b>", "1 ", "< 2 && 3 > 2", "</b>"],
            ),
            (
                "<title>a <b> &lt;</TITLE >c",
                &["<title>", "a <b> <", "</title>", "c"],
            ),
            ("<style>a > b</style\n><i></i", &["<i>"]),
            (
                "<i><!-- <b> --><!x><?y?></ z><!---->k<!-- never closed",
                &["<i>", "k"],
            ),
            ("<script>\"</scripted>\"</script>x<", &["x", "<"]),
            ("<script>never closed", &[]),
            ("<a\u{e9}>", &["<a\u{e9}>"]),
        ] {
            assert_eq!(events(html), seen, "{html}");
        }
    }

    #[test]
    fn attributes_are_read_however_they_are_written() {
        let html = "<a B='1 &amp; 2' c = x/y d e=\"\" =f= B=3 g=\"'\">";
        let mut page = Page::open(Report::from_bytes("r", html.as_bytes())).unwrap();
        let Some(Event::Start(tag)) = page.next().unwrap() else {
            panic!("no tag");
        };
        let values = ["b", "c", "d", "e", "=f", "g", "h"].map(|name| tag.attr(name));
        let values: Vec<_> = values.iter().map(Option::as_deref).collect();
        let wanted = ["1 & 2", "x/y", "", "", "B=3", "'"].map(Some);
        assert_eq!(values, [&wanted[..], &[None]].concat());
    }

    #[test]
    fn what_lies_across_blocks_is_whole() {
        let long = "\u{e9}x".repeat(50_000);
        let html =
            format!("<p a=\"{long}\">{long}<!-- {long} -->{long}<script>{long}</script></p>");
        let seen = events(&html);
        assert_eq!(seen, ["<p>", &long, &long, "</p>"]);
    }

    #[test]
    fn the_text_of_an_element_ends_where_it_does() {
        let html = br#"<div class="a row" id=1>one <div>two</div> <b>three</b></div>four"#;
        let mut page = Page::open(Report::from_bytes("r.html", html)).unwrap();
        let Some(Event::Start(tag)) = page.next().unwrap() else {
            panic!("no tag");
        };
        assert!(tag.has_class("row") && !tag.has_class("ro"));
        assert_eq!(tag.attr("id").as_deref(), Some("1"));
        assert_eq!(page.text_of("div").unwrap(), "one two three");
        assert_eq!(page.next().unwrap(), Some(Event::Text("four".into())));
        let mut page = Page::open(Report::from_bytes("r.html", html)).unwrap();
        page.next().unwrap();
        page.pass_over("div").unwrap();
        assert_eq!(page.next().unwrap(), Some(Event::Text("four".into())));
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for text in ["", "{}", "hello"] {
            assert!(
                Page::open(Report::from_bytes("r", text.as_bytes())).is_err(),
                "{text}"
            );
        }
    }
}
