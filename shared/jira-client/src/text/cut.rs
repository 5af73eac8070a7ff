//! Makes texts as short as JIRA wants them, at the ends of blocks.

use super::MAX_MARKDOWN;
use super::markdown::{Block, Inline, Marks, read};

/// Paragraphs that are no longer than this are left whole or left out.
const SHORT: usize = 1000;
/// The longest address that a text ends with.
const MAX_ADDRESS: usize = 2000;

/// Writes as much of a Markdown text as fits.
pub(super) fn fitting<R>(
    markdown: &str,
    whole: Option<&str>,
    write: impl Fn(&[Block]) -> R,
    fits: impl Fn(&R) -> bool,
) -> R {
    let start = beginning(markdown);
    let blocks = read(start);
    if start.len() == markdown.len() {
        let all = write(&blocks);
        if fits(&all) {
            return all;
        }
    }
    let note = note(whole);
    let shortened = |length: usize| {
        let mut kept = keep(&blocks, &mut { length });
        kept.push(Block::Rule);
        kept.push(note.clone());
        write(&kept)
    };
    // The most that still fits; a little more makes the text a little longer.
    let (mut low, mut high) = (0, blocks.iter().map(weight).sum::<usize>() + 1);
    while low + 1 < high {
        let middle = low.midpoint(high);
        if fits(&shortened(middle)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    shortened(low)
}

/// At most [`MAX_MARKDOWN`] bytes of it, in whole lines if there are any.
fn beginning(markdown: &str) -> &str {
    if markdown.len() <= MAX_MARKDOWN {
        return markdown;
    }
    let start = &markdown[..markdown.floor_char_boundary(MAX_MARKDOWN)];
    match start.rfind('\n') {
        Some(end) if end > MAX_MARKDOWN / 2 => &start[..end],
        _ => start,
    }
}

fn note(whole: Option<&str>) -> Block {
    let emphasis = Marks {
        emphasis: true,
        ..Marks::default()
    };
    let usable = whole.filter(|address| {
        let web = address.starts_with("https://") || address.starts_with("http://");
        web && address.len() <= MAX_ADDRESS
            && !address.contains(|c: char| c.is_whitespace() || c.is_control())
    });
    let Some(address) = usable else {
        return Block::Paragraph(vec![Inline::Text(
            "The text is cut here.".to_owned(),
            emphasis,
        )]);
    };
    let link = Marks {
        link: Some(address.to_owned()),
        ..Marks::default()
    };
    Block::Paragraph(vec![
        Inline::Text("The text is cut here:".to_owned(), emphasis),
        Inline::Text(" ".to_owned(), Marks::default()),
        Inline::Text("the whole of it".to_owned(), link),
    ])
}

/// The first blocks up to a length, the last of which may be a part.
fn keep(blocks: &[Block], left: &mut usize) -> Vec<Block> {
    let mut kept = Vec::new();
    for block in blocks {
        let weight = weight(block);
        if weight <= *left {
            *left -= weight;
            kept.push(block.clone());
            continue;
        }
        kept.extend(part(block, *left));
        *left = 0;
        break;
    }
    kept
}

fn part(block: &Block, mut left: usize) -> Option<Block> {
    match block {
        Block::Code { language, text } => {
            let start: String = text.chars().take(left).collect();
            let lines = start.rfind('\n').map(|end| &start[..end]);
            // A single line of more than a screen is cut anywhere.
            let text = lines.or_else(|| (left > SHORT).then_some(start.as_str()))?;
            Some(Block::Code {
                language: language.clone(),
                text: text.to_owned(),
            })
        }
        Block::Paragraph(inlines) if weight(block) > SHORT => {
            let inlines = cut(inlines, left);
            (!inlines.is_empty()).then_some(Block::Paragraph(inlines))
        }
        Block::Quote(blocks) => {
            let blocks = keep(blocks, &mut left);
            (!blocks.is_empty()).then_some(Block::Quote(blocks))
        }
        Block::List { start, items } => {
            let mut kept = Vec::new();
            for item in items {
                let item = keep(item, &mut left);
                if left == 0 && item.is_empty() {
                    break;
                }
                kept.push(item);
            }
            (!kept.is_empty()).then_some(Block::List {
                start: *start,
                items: kept,
            })
        }
        Block::Table(rows) => {
            let mut kept = Vec::new();
            for row in rows {
                let weight = row.iter().map(|cell| length(cell)).sum::<usize>() + 1;
                if weight > left {
                    break;
                }
                left -= weight;
                kept.push(row.clone());
            }
            (!kept.is_empty()).then_some(Block::Table(kept))
        }
        Block::Paragraph(_) | Block::Heading(..) | Block::Rule => None,
    }
}

/// A paragraph's first characters, up to the end of a word.
fn cut(inlines: &[Inline], mut left: usize) -> Vec<Inline> {
    let mut kept = Vec::new();
    for inline in inlines {
        let length = length(std::slice::from_ref(inline));
        if length <= left {
            left -= length;
            kept.push(inline.clone());
            continue;
        }
        if let Inline::Text(text, marks) = inline {
            let mut start: String = text.chars().take(left).collect();
            if let Some(end) = start.rfind(char::is_whitespace) {
                start.truncate(end);
            }
            if !start.trim().is_empty() {
                kept.push(Inline::Text(start, marks.clone()));
            }
        }
        break;
    }
    kept
}

/// How much of a document's length a block is taken for.
fn weight(block: &Block) -> usize {
    1 + match block {
        Block::Paragraph(inlines) | Block::Heading(_, inlines) => length(inlines),
        Block::Code { text, .. } => text.chars().count(),
        Block::Quote(blocks) => blocks.iter().map(weight).sum(),
        Block::List { items, .. } => {
            items.iter().flatten().map(weight).sum::<usize>() + items.len()
        }
        Block::Table(rows) => rows
            .iter()
            .map(|row| row.iter().map(|cell| length(cell)).sum::<usize>() + 1)
            .sum(),
        Block::Rule => 0,
    }
}

fn length(inlines: &[Inline]) -> usize {
    let one = |inline: &Inline| match inline {
        Inline::Text(text, marks) => {
            text.chars().count() + marks.link.as_ref().map_or(0, |link| link.chars().count())
        }
        Inline::Break => 1,
    };
    inlines.iter().map(one).sum()
}
