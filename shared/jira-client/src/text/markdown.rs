//! Markdown into a tree that is only as deep as JIRA's own documents.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// Lists and quotes within each other beyond this are taken for one.
const MAX_DEPTH: usize = 6;

/// A piece of a document that stands for itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Block {
    Paragraph(Vec<Inline>),
    /// Level 1 to 6.
    Heading(u8, Vec<Inline>),
    Code {
        language: Option<String>,
        text: String,
    },
    Quote(Vec<Block>),
    List {
        /// The first number of an ordered list.
        start: Option<u64>,
        items: Vec<Vec<Block>>,
    },
    /// The first row is the head.
    Table(Vec<Row>),
    Rule,
}

/// The cells of a table's row.
pub(super) type Row = Vec<Vec<Inline>>;

/// A piece of a line.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Inline {
    /// Never empty, never with a line break.
    Text(String, Marks),
    Break,
}

/// How a text looks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Marks {
    pub(super) strong: bool,
    pub(super) emphasis: bool,
    pub(super) strike: bool,
    pub(super) code: bool,
    pub(super) link: Option<String>,
}

/// Reads Markdown.
pub(super) fn read(markdown: &str) -> Vec<Block> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut reader = Reader::default();
    for event in Parser::new_ext(markdown, options) {
        reader.event(event);
    }
    while !reader.open.is_empty() {
        reader.close();
    }
    reader.flush();
    reader.blocks
}

/// A line in which all is strong: a heading where none may be.
pub(super) fn strong(inlines: &[Inline]) -> Vec<Inline> {
    let mut inlines = inlines.to_vec();
    for inline in &mut inlines {
        if let Inline::Text(_, marks) = inline {
            marks.strong = true;
        }
    }
    inlines
}

/// A container whose content is being read, with what the blocks around it were until then.
enum Open {
    Quote(Vec<Block>),
    List {
        outer: Vec<Block>,
        start: Option<u64>,
        items: Vec<Vec<Block>>,
    },
    Item,
    /// One too deep.
    Flat,
}

#[derive(Default)]
struct Reader {
    blocks: Vec<Block>,
    open: Vec<Open>,
    /// How many of them are lists and quotes.
    depth: usize,
    inlines: Vec<Inline>,
    code: Option<(Option<String>, String)>,
    rows: Vec<Row>,
    strong: usize,
    emphasis: usize,
    strike: usize,
    links: Vec<String>,
    /// The text of an image is its link's.
    images: usize,
}

impl Reader {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some((_, code)) => code.push_str(&text),
                None => self.text(&text, false),
            },
            Event::Code(text) => self.text(&text, true),
            // Raw HTML is shown, not obeyed.
            Event::Html(html) | Event::InlineHtml(html) => {
                for (at, line) in html.split('\n').enumerate() {
                    if at > 0 {
                        self.line_break();
                    }
                    self.text(line, false);
                }
            }
            Event::SoftBreak => self.text(" ", false),
            Event::HardBreak => self.line_break(),
            Event::Rule => {
                self.flush();
                self.blocks.push(Block::Rule);
            }
            // Only with options that aren't set.
            Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                self.text(&text, false);
            }
            Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::CodeBlock(kind) => {
                self.flush();
                let language = match kind {
                    CodeBlockKind::Fenced(info) => language(&info),
                    CodeBlockKind::Indented => None,
                };
                self.code = Some((language, String::new()));
            }
            Tag::BlockQuote(_) => {
                self.flush();
                self.open.push(if self.depth < MAX_DEPTH {
                    self.depth += 1;
                    Open::Quote(std::mem::take(&mut self.blocks))
                } else {
                    Open::Flat
                });
            }
            Tag::List(start) => {
                self.flush();
                self.open.push(if self.depth < MAX_DEPTH {
                    self.depth += 1;
                    Open::List {
                        outer: std::mem::take(&mut self.blocks),
                        start,
                        items: Vec::new(),
                    }
                } else {
                    Open::Flat
                });
            }
            Tag::Item => {
                self.flush();
                let flat = matches!(self.open.last(), Some(Open::Flat) | None);
                self.open.push(if flat { Open::Flat } else { Open::Item });
            }
            Tag::TableHead | Tag::TableRow => self.rows.push(Row::new()),
            Tag::Table(_) | Tag::Paragraph | Tag::Heading { .. } | Tag::HtmlBlock => self.flush(),
            Tag::Strong => self.strong += 1,
            Tag::Emphasis => self.emphasis += 1,
            Tag::Strikethrough => self.strike += 1,
            Tag::Link { dest_url, .. } => self.links.push(dest_url.into_string()),
            Tag::Image { dest_url, .. } => {
                self.images = self.inlines.len();
                self.links.push(dest_url.into_string());
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => {
                let inlines = self.take_inlines();
                if !inlines.is_empty() {
                    self.blocks.push(Block::Heading(number(level), inlines));
                }
            }
            TagEnd::CodeBlock => {
                if let Some((language, text)) = self.code.take() {
                    let text = clean(text.trim_end_matches('\n'));
                    self.blocks.push(Block::Code { language, text });
                }
            }
            TagEnd::BlockQuote(_) | TagEnd::List(_) | TagEnd::Item => {
                self.flush();
                self.close();
            }
            TagEnd::TableCell => {
                let cell = self.take_inlines();
                if let Some(row) = self.rows.last_mut() {
                    row.push(cell);
                }
            }
            TagEnd::Table => {
                let rows = std::mem::take(&mut self.rows);
                self.blocks.push(Block::Table(rows));
            }
            TagEnd::Strong => self.strong = self.strong.saturating_sub(1),
            TagEnd::Emphasis => self.emphasis = self.emphasis.saturating_sub(1),
            TagEnd::Strikethrough => self.strike = self.strike.saturating_sub(1),
            TagEnd::Link => drop(self.links.pop()),
            TagEnd::Image => {
                // An image without a text would be lost.
                if self.inlines.len() == self.images
                    && let Some(address) = self.links.last().cloned()
                {
                    self.text(&address, false);
                }
                self.links.pop();
            }
            TagEnd::Paragraph | TagEnd::HtmlBlock => self.flush(),
            _ => {}
        }
    }

    /// Ends the innermost container.
    fn close(&mut self) {
        match self.open.pop() {
            Some(Open::Quote(outer)) => {
                self.depth -= 1;
                let inner = std::mem::replace(&mut self.blocks, outer);
                if !inner.is_empty() {
                    self.blocks.push(Block::Quote(inner));
                }
            }
            Some(Open::List {
                outer,
                start,
                items,
            }) => {
                self.depth -= 1;
                self.blocks = outer;
                if !items.is_empty() {
                    self.blocks.push(Block::List { start, items });
                }
            }
            Some(Open::Item) => {
                let blocks = std::mem::take(&mut self.blocks);
                if let Some(Open::List { items, .. }) = self.open.last_mut() {
                    items.push(blocks);
                }
            }
            Some(Open::Flat) | None => {}
        }
    }

    /// Ends a paragraph, also one that no tag begins, as in a tight list.
    fn flush(&mut self) {
        let inlines = self.take_inlines();
        if !inlines.is_empty() {
            self.blocks.push(Block::Paragraph(inlines));
        }
    }

    fn text(&mut self, text: &str, code: bool) {
        let text = clean(text).replace('\n', " ");
        if text.is_empty() {
            return;
        }
        let marks = Marks {
            strong: self.strong > 0,
            emphasis: self.emphasis > 0,
            strike: self.strike > 0,
            code,
            link: self.links.last().cloned(),
        };
        match self.inlines.last_mut() {
            Some(Inline::Text(before, same)) if *same == marks => before.push_str(&text),
            _ => self.inlines.push(Inline::Text(text, marks)),
        }
    }

    fn line_break(&mut self) {
        if !self.inlines.is_empty() {
            self.inlines.push(Inline::Break);
        }
    }

    fn take_inlines(&mut self) -> Vec<Inline> {
        let mut inlines = Vec::new();
        for inline in std::mem::take(&mut self.inlines) {
            match inline {
                Inline::Text(text, marks) => links(text, marks, &mut inlines),
                Inline::Break => inlines.push(Inline::Break),
            }
        }
        while matches!(inlines.last(), Some(Inline::Break)) {
            inlines.pop();
        }
        let blank = |i: &Inline| matches!(i, Inline::Text(text, _) if text.trim().is_empty());
        if inlines.iter().all(blank) {
            inlines.clear();
        }
        inlines
    }
}

/// Takes a text apart where it has addresses, which neither ADF nor Markdown makes links of by itself; and takes
/// links away that lead nowhere from JIRA.
fn links(text: String, mut marks: Marks, to: &mut Vec<Inline>) {
    if let Some(address) = marks.link.take() {
        let address = clean(&address).replace(['\n', ' '], "%20");
        if leads_somewhere(&address) {
            marks.link = Some(address);
            to.push(Inline::Text(text, marks));
        } else {
            let shown = address.is_empty() || address == text;
            to.push(Inline::Text(text, marks.clone()));
            if !shown {
                to.push(Inline::Text(format!(" ({address})"), marks));
            }
        }
        return;
    }
    if marks.code {
        to.push(Inline::Text(text, marks));
        return;
    }
    let mut rest = text.as_str();
    while let Some((start, end)) = address(rest) {
        if start > 0 {
            to.push(Inline::Text(rest[..start].to_owned(), marks.clone()));
        }
        let mut linked = marks.clone();
        linked.link = Some(rest[start..end].to_owned());
        to.push(Inline::Text(rest[start..end].to_owned(), linked));
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        to.push(Inline::Text(rest.to_owned(), marks));
    }
}

/// Where the next bare address is.
fn address(text: &str) -> Option<(usize, usize)> {
    let schemes = ["https://", "http://"];
    let (start, scheme) = schemes
        .iter()
        .filter_map(|scheme| Some((text.find(scheme)?, scheme.len())))
        .min()?;
    let body = &text[start + scheme..];
    let stops = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '`' | '|' | '[' | ']');
    let body = &body[..body.find(stops).unwrap_or(body.len())];
    let body = body.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '\'', '*', '_']);
    (!body.is_empty()).then_some((start, start + scheme + body.len()))
}

fn leads_somewhere(address: &str) -> bool {
    let lower = address.get(..8).unwrap_or(address).to_ascii_lowercase();
    ["https://", "http://", "mailto:", "ftp://"]
        .iter()
        .any(|scheme| lower.starts_with(scheme) && address.len() > scheme.len())
}

/// The first word of a fence's info string.
fn language(info: &str) -> Option<String> {
    let word = info.split([' ', ',', '{', '\t']).next()?.trim();
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '+' | '#' | '-' | '_' | '.');
    (!word.is_empty() && word.len() <= 40 && word.chars().all(is_name)).then(|| word.to_owned())
}

fn number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

/// Without characters that JIRA refuses or that break lines unseen. Tabs and line breaks stay.
fn clean(text: &str) -> String {
    text.chars()
        .filter(|&c| matches!(c, '\n' | '\t') || !super::is_control(c))
        .collect()
}
