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
//! Tags are read as the [HTML standard](https://html.spec.whatwg.org/#tokenization) says, so that
//! nothing is ever broken; end tags need not be there.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::rc::Rc;

use html5gum::{DefaultEmitter, HtmlString, IoReader, Spanned, Token, Tokenizer};

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
    name: String,
    attributes: BTreeMap<HtmlString, Spanned<HtmlString, ()>>,
}

impl Tag {
    /// The name in lower case.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of an attribute.
    pub fn attr(&self, name: &str) -> Option<String> {
        let value = self.attributes.get(name.as_bytes())?;
        Some(lossy(&value.value))
    }

    /// Is it of this class?
    pub fn has_class(&self, class: &str) -> bool {
        self.attr("class")
            .is_some_and(|all| all.split_whitespace().any(|c| c == class))
    }
}

/// A cursor in an HTML report.
pub struct Page<'a> {
    tokens: Tokenizer<IoReader<Shared<'a>>, DefaultEmitter<()>>,
    source: Shared<'a>,
}

/// Elements whose content isn't text for people.
const HIDDEN: [&str; 3] = ["script", "style", "template"];

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
        let source = Shared(Rc::new(RefCell::new(Source::decoded(report))));
        let mut emitter = DefaultEmitter::default();
        emitter.naively_switch_states(true);
        let input = IoReader::new(source.clone());
        Ok(Self {
            tokens: Tokenizer::new_with_emitter(input, emitter),
            source,
        })
    }

    /// The next step; `None` at the end of the page.
    #[allow(
        clippy::should_implement_trait,
        reason = "it fails, as those of its siblings do"
    )]
    pub fn next(&mut self) -> Result<Option<Event>, Refusal> {
        let mut hidden: Option<String> = None;
        while let Some(token) = self.token()? {
            let event = match token {
                Token::StartTag(tag) => Event::Start(Tag {
                    name: lossy(&tag.name),
                    attributes: tag.attributes,
                }),
                Token::EndTag(tag) => Event::End(lossy(&tag.name)),
                Token::String(text) => Event::Text(lossy(&text.value)),
                Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => continue,
            };
            match (&hidden, event) {
                (Some(name), Event::End(end)) if *name == end => hidden = None,
                (Some(_), _) => {}
                (None, Event::Start(tag)) if HIDDEN.contains(&tag.name()) => {
                    hidden = Some(tag.name);
                }
                (None, event) => return Ok(Some(event)),
            }
        }
        Ok(None)
    }

    /// All text up to the end tag that closes the element just entered, whose name this is. Elements of
    /// the same name within it count.
    pub fn text_of(&mut self, name: &str) -> Result<String, Refusal> {
        let mut text = String::new();
        let mut depth = 1_usize;
        while let Some(event) = self.next()? {
            match event {
                Event::Text(piece) => text.push_str(&piece),
                Event::Start(tag) if tag.name == name => depth += 1,
                Event::End(end) if end == name => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                Event::Start(_) | Event::End(_) => {}
            }
        }
        Ok(text)
    }

    /// Where the cursor is, give or take a few kilobytes.
    pub fn position(&self) -> Position {
        self.source.0.borrow().position()
    }

    fn token(&mut self) -> Result<Option<Token>, Refusal> {
        self.source.0.borrow_mut().begin_piece();
        match self.tokens.next() {
            None => Ok(None),
            Some(Ok(token)) => Ok(Some(token)),
            Some(Err(error)) => Err(unreadable(&error, self.position())),
        }
    }
}

/// The tokenizer owns its reader, and we want to know where it is.
#[derive(Clone)]
struct Shared<'a>(Rc<RefCell<Source<'a>>>);

impl Read for Shared<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buf)
    }
}

fn lossy(text: &HtmlString) -> String {
    String::from_utf8_lossy(text).into_owned()
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
