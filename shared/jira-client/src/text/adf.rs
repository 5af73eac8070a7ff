//! The tree as an ADF document.
//!
//! The schema says what may stand in what: a quote takes paragraphs, lists and code; an item of a list begins with
//! a paragraph or code and takes lists after it. Whatever else Markdown has there becomes the nearest of those.

use serde_json::{Value, json};

use super::markdown::{Block, Inline, Marks, Row, strong};

/// Where blocks stand.
#[derive(Clone, Copy, PartialEq)]
enum In {
    Document,
    Quote,
    Item,
}

pub(super) fn document(blocks: &[Block]) -> Value {
    json!({ "version": 1, "type": "doc", "content": content(blocks, In::Document) })
}

fn content(blocks: &[Block], place: In) -> Vec<Value> {
    let mut nodes = Vec::new();
    for block in blocks {
        add(block, place, &mut nodes);
    }
    let begins_well = |node: &Value| node["type"] == "paragraph" || node["type"] == "codeBlock";
    match place {
        In::Item if !nodes.first().is_some_and(begins_well) => {
            nodes.insert(0, paragraph(&[]));
        }
        In::Quote if nodes.is_empty() => nodes.push(paragraph(&[])),
        In::Document | In::Item | In::Quote => {}
    }
    nodes
}

fn add(block: &Block, place: In, nodes: &mut Vec<Value>) {
    match block {
        Block::Paragraph(inlines) => nodes.push(paragraph(inlines)),
        Block::Heading(level, inlines) if place == In::Document => nodes.push(json!({
            "type": "heading",
            "attrs": { "level": level },
            "content": inline(inlines),
        })),
        Block::Heading(_, inlines) => nodes.push(paragraph(&strong(inlines))),
        Block::Code { language, text } => nodes.push(code(language.as_deref(), text)),
        Block::Quote(blocks) if place == In::Document => nodes.push(json!({
            "type": "blockquote",
            "content": content(blocks, In::Quote),
        })),
        Block::Quote(blocks) => {
            for block in blocks {
                add(block, place, nodes);
            }
        }
        Block::List { start, items } => nodes.push(list(*start, items)),
        Block::Table(rows) if place == In::Document => nodes.extend(table(rows)),
        Block::Table(rows) => {
            let lines = rows.iter().map(|row| paragraph(&line(row)));
            nodes.extend(lines);
        }
        Block::Rule if place == In::Document => nodes.push(json!({ "type": "rule" })),
        Block::Rule => {}
    }
}

fn list(start: Option<u64>, items: &[Vec<Block>]) -> Value {
    let items: Vec<Value> = items
        .iter()
        .map(|item| json!({ "type": "listItem", "content": content(item, In::Item) }))
        .collect();
    match start {
        None => json!({ "type": "bulletList", "content": items }),
        Some(order) => {
            json!({ "type": "orderedList", "attrs": { "order": order }, "content": items })
        }
    }
}

fn code(language: Option<&str>, text: &str) -> Value {
    let mut node = json!({ "type": "codeBlock" });
    if let Some(language) = language {
        node["attrs"] = json!({ "language": language });
    }
    if !text.is_empty() {
        node["content"] = json!([{ "type": "text", "text": text }]);
    }
    node
}

/// Rows are made equally long. A table without columns is none.
fn table(rows: &[Row]) -> Option<Value> {
    let columns = rows.iter().map(Vec::len).max().filter(|&n| n > 0)?;
    let row = |(at, row): (usize, &Row)| {
        let kind = if at == 0 { "tableHeader" } else { "tableCell" };
        let cell = |column| {
            let inlines: &[Inline] = row.get(column).map_or(&[], Vec::as_slice);
            json!({ "type": kind, "attrs": {}, "content": [paragraph(inlines)] })
        };
        let cells: Vec<Value> = (0..columns).map(cell).collect();
        json!({ "type": "tableRow", "content": cells })
    };
    let rows: Vec<Value> = rows.iter().enumerate().map(row).collect();
    Some(json!({ "type": "table", "attrs": {}, "content": rows }))
}

fn paragraph(inlines: &[Inline]) -> Value {
    json!({ "type": "paragraph", "content": inline(inlines) })
}

fn inline(inlines: &[Inline]) -> Vec<Value> {
    let node = |inline: &Inline| match inline {
        Inline::Break => json!({ "type": "hardBreak" }),
        Inline::Text(text, marks) => {
            let marks = marked(marks);
            if marks.is_empty() {
                json!({ "type": "text", "text": text })
            } else {
                json!({ "type": "text", "text": text, "marks": marks })
            }
        }
    };
    inlines.iter().map(node).collect()
}

/// Code bears no mark beside it but a link.
fn marked(marks: &Marks) -> Vec<Value> {
    let mut all = Vec::new();
    if let Some(href) = &marks.link {
        all.push(json!({ "type": "link", "attrs": { "href": href } }));
    }
    let looks = [
        (marks.code, "code"),
        (marks.strong && !marks.code, "strong"),
        (marks.emphasis && !marks.code, "em"),
        (marks.strike && !marks.code, "strike"),
    ];
    let looks = looks.into_iter().filter(|(is, _)| *is);
    all.extend(looks.map(|(_, name)| json!({ "type": name })));
    all
}

/// A row where no table may be.
fn line(row: &Row) -> Vec<Inline> {
    let mut line = Vec::new();
    for (at, cell) in row.iter().enumerate() {
        if at > 0 {
            line.push(Inline::Text(" | ".to_owned(), Marks::default()));
        }
        line.extend_from_slice(cell);
    }
    line
}
