//! The text of a rule: HTML, in a report's page as in its JSON.

use crate::kit::page::{Event, Page};
use crate::kit::{html, text};
use crate::{Refusal, Report};

/// What a rule's description says.
#[derive(Debug, Default)]
pub struct Rule {
    pub text: String,
    /// Each link's text and address.
    pub links: Vec<String>,
    pub cwes: Vec<u32>,
}

const FENCE: &str = "```\n";

impl Rule {
    pub fn from_html(html: &str) -> Result<Self, Refusal> {
        // Some begin with bare text.
        let html = format!("<div>{html}");
        let mut page = Page::open(Report::from_bytes("", html.as_bytes()))?;
        Self::read(&mut page, "")
    }

    /// Reads on to the end tag that closes the element just entered, whose name this is.
    pub fn read(page: &mut Page<'_>, element: &str) -> Result<Self, Refusal> {
        let mut writer = Writer::default();
        let mut depth = 1_usize;
        while let Some(event) = page.next()? {
            match event {
                Event::Text(text) => writer.text(&text),
                Event::Start(tag) => {
                    depth += usize::from(tag.name() == element);
                    writer.start(tag.name(), || tag.attr("href"));
                }
                Event::End(name) => {
                    depth -= usize::from(name == element);
                    if depth == 0 {
                        break;
                    }
                    writer.end(&name);
                }
            }
        }
        Ok(writer.finish())
    }
}

/// Writes HTML as the Markdown that descriptions are in.
#[derive(Default)]
struct Writer {
    text: String,
    links: Vec<String>,
    /// The address of the link we are in, and where its text begins.
    link: Option<(String, usize)>,
    is_code: bool,
}

impl Writer {
    fn text(&mut self, text: &str) {
        if self.is_code {
            let begins = self.text.ends_with(FENCE);
            self.text.push_str(if begins {
                text.trim_start_matches(['\r', '\n'])
            } else {
                text
            });
            return;
        }
        if text.starts_with(char::is_whitespace) {
            self.space();
        }
        let mut words = text
            .split(|c: char| c.is_whitespace())
            .filter(|word| !word.is_empty());
        self.text.push_str(words.next().unwrap_or_default());
        for word in words {
            self.text.push(' ');
            self.text.push_str(word);
        }
        if text.ends_with(char::is_whitespace) {
            self.space();
        }
    }

    fn space(&mut self) {
        if !self.text.ends_with(char::is_whitespace) {
            self.text.push(' ');
        }
    }

    fn start(&mut self, name: &str, href: impl FnOnce() -> Option<String>) {
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.text.push_str("\n\n**"),
            "li" => self.text.push_str("\n* "),
            "br" | "tr" => self.text.push('\n'),
            "p" | "div" | "ul" | "ol" | "table" | "dl" | "blockquote" => self.text.push_str("\n\n"),
            "pre" => {
                self.text.push_str("\n\n");
                self.text.push_str(FENCE);
                self.is_code = true;
            }
            "a" => self.link = href().map(|href| (href, self.text.len())),
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.text.push_str("**\n"),
            "p" | "div" | "ul" | "ol" | "table" | "dl" | "blockquote" => self.text.push_str("\n\n"),
            "td" | "th" => self.space(),
            "pre" => {
                self.text.truncate(self.text.trim_end().len());
                self.text.push('\n');
                self.text.push_str(FENCE);
                self.is_code = false;
            }
            "a" => {
                let Some((href, start)) = self.link.take() else {
                    return;
                };
                let name = self.text.get(start..).unwrap_or_default().trim();
                let is_address = href.starts_with("https://") || href.starts_with("http://");
                let link = match (name, is_address) {
                    ("", true) => href,
                    (name, true) if name != href => format!("{name}: {href}"),
                    (name, _) => name.to_owned(),
                };
                if !link.is_empty() {
                    text::push_new(&mut self.links, link);
                }
            }
            _ => {}
        }
    }

    fn finish(self) -> Rule {
        let mut cwes = Vec::new();
        text::cwes(&self.text).for_each(|cwe| text::push_new(&mut cwes, cwe));
        Rule {
            text: html::tidy(&self.text),
            links: self.links,
            cwes,
        }
    }
}
