//! The tree as wiki markup
//! (<https://jira.atlassian.com/secure/WikiRendererHelpAction.jspa?section=all>).

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::markdown::{Block, Inline, Marks, Row, strong};

/// What `{code}` knows; for anything else it would show an error above the code.
const LANGUAGES: &[&str] = &[
    "actionscript",
    "ada",
    "applescript",
    "bash",
    "c",
    "c#",
    "c++",
    "cpp",
    "css",
    "erlang",
    "go",
    "groovy",
    "haskell",
    "html",
    "java",
    "javascript",
    "js",
    "json",
    "lua",
    "objc",
    "perl",
    "php",
    "python",
    "r",
    "ruby",
    "scala",
    "sh",
    "sql",
    "swift",
    "visualbasic",
    "xml",
    "yaml",
];

/// Faces and signs that are pictures after a bracket.
const SIGNS: &[&str] = &[
    "y)", "n)", "i)", "/)", "x)", "!)", "+)", "-)", "?)", "on)", "off)", "*)", "*r)", "*g)", "*b)",
    "*y)", "flag)", "flagoff)",
];

pub(super) fn markup(blocks: &[Block]) -> String {
    let mut out = String::new();
    write(blocks, false, &mut out);
    out.truncate(out.trim_end_matches('\n').len());
    out
}

/// Blocks with an empty line between them.
fn write(blocks: &[Block], in_quote: bool, out: &mut String) {
    for block in blocks {
        match block {
            Block::Paragraph(inlines) => out.push_str(&line(inlines, In::Text)),
            Block::Heading(level, inlines) => {
                out.extend(["h", &level.to_string(), ". "]);
                out.push_str(&line(inlines, In::Line));
            }
            Block::Code { language, text } => out.push_str(&code(language.as_deref(), text)),
            // Quotes know no end of an inner one.
            Block::Quote(blocks) if in_quote => {
                write(blocks, true, out);
                continue;
            }
            Block::Quote(blocks) => {
                out.push_str("{quote}\n");
                write(blocks, true, out);
                out.truncate(out.trim_end_matches('\n').len());
                out.push_str("\n{quote}");
            }
            Block::List { start, items } => {
                list(*start, items, "", out);
                out.truncate(out.trim_end_matches('\n').len());
            }
            Block::Table(rows) => out.push_str(&table(rows)),
            Block::Rule => out.push_str("----"),
        }
        out.push_str("\n\n");
    }
}

fn list(start: Option<u64>, items: &[Vec<Block>], outer: &str, out: &mut String) {
    let bullets = format!("{outer}{}", if start.is_some() { '#' } else { '*' });
    for item in items {
        // An item is what stands between its bullet and the next, without empty lines.
        let mut begun = false;
        if !matches!(
            item.first(),
            Some(Block::Paragraph(_) | Block::Heading(..) | Block::Code { .. })
        ) {
            out.push_str(&bullets);
            out.push_str(" \n");
            begun = true;
        }
        inner(item, &bullets, &mut begun, out);
    }
}

fn inner(blocks: &[Block], bullets: &str, begun: &mut bool, out: &mut String) {
    for block in blocks {
        let text = match block {
            Block::List { start, items } => {
                list(*start, items, bullets, out);
                *begun = true;
                continue;
            }
            Block::Quote(blocks) => {
                inner(blocks, bullets, begun, out);
                continue;
            }
            Block::Rule => continue,
            Block::Paragraph(inlines) => line(inlines, In::Line),
            Block::Heading(_, inlines) => line(&strong(inlines), In::Line),
            Block::Code { language, text } => code(language.as_deref(), text),
            Block::Table(rows) => {
                let rows = rows.iter().map(|row| cells(row, " \\| ", In::Line));
                rows.collect::<Vec<_>>().join("\\\\ ")
            }
        };
        if *begun {
            out.push_str("\\\\ ");
        } else {
            out.push_str(bullets);
            out.push(' ');
            *begun = true;
        }
        out.push_str(&text);
        out.push('\n');
    }
}

fn table(rows: &[Row]) -> String {
    let row = |(at, row): (usize, &Row)| {
        let bar = if at == 0 { "||" } else { "|" };
        format!("{bar}{}{bar}", cells(row, bar, In::Cell))
    };
    let rows: Vec<String> = rows.iter().enumerate().map(row).collect();
    rows.join("\n")
}

fn cells(row: &Row, between: &str, place: In) -> String {
    let cell = |cell: &Vec<Inline>| match line(cell, place) {
        // Two bars in a row would be a head.
        text if text.trim().is_empty() => " ".to_owned(),
        text => text,
    };
    row.iter().map(cell).collect::<Vec<_>>().join(between)
}

/// Code as it is. No escape is known in it, so its own end must not be in it.
fn code(language: Option<&str>, text: &str) -> String {
    let language = language.map(str::to_lowercase);
    let known = language.filter(|name| LANGUAGES.contains(&name.as_str()));
    match known {
        Some(language) if !text.contains("{code") => {
            format!("{{code:{language}}}\n{text}\n{{code}}")
        }
        _ => {
            // Broken by a space of no width, and as readable as it was.
            let text = text.replace("{noformat", "{\u{200B}noformat");
            format!("{{noformat}}\n{text}\n{{noformat}}")
        }
    }
}

/// Where a line of text stands.
#[derive(Clone, Copy, PartialEq)]
enum In {
    /// It may have several lines.
    Text,
    /// It must end where it ends.
    Line,
    /// Also it mustn't have bars.
    Cell,
}

fn line(inlines: &[Inline], place: In) -> String {
    let mut out = String::new();
    for (at, inline) in inlines.iter().enumerate() {
        match inline {
            Inline::Break if place == In::Text => out.push_str("\\\\\n"),
            Inline::Break => out.push_str("\\\\ "),
            Inline::Text(text, marks) => {
                let next = match inlines.get(at + 1) {
                    Some(Inline::Text(next, _)) => next.chars().next(),
                    _ => None,
                };
                phrase(text, marks, next, &mut out);
            }
        }
    }
    out
}

/// A text with its marks, which must stand close to it and apart from other words.
fn phrase(text: &str, marks: &Marks, next: Option<char>, out: &mut String) {
    let before = out.chars().next_back();
    let inner = text.trim();
    if inner.is_empty() || *marks == Marks::default() {
        out.push_str(&escaped(text, before, next));
        return;
    }
    let (lead, rest) = text.split_at(text.len() - text.trim_start().len());
    let trail = &rest[inner.len()..];
    let word = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace());
    let apart = (lead.is_empty() && word(before)) || (trail.is_empty() && word(next));
    out.push_str(lead);
    let signs: Vec<&str> = [
        (marks.strong, "*"),
        (marks.emphasis, "_"),
        (marks.strike, "-"),
    ]
    .into_iter()
    .filter_map(|(is, sign)| is.then_some(sign))
    .collect();
    let sign = |sign: &&str| {
        if apart {
            format!("{{{sign}}}")
        } else {
            (*sign).to_owned()
        }
    };
    out.extend(signs.iter().map(sign));
    let shown = escaped(inner, None, None);
    let shown = if marks.code {
        format!("{{{{{shown}}}}}")
    } else {
        shown
    };
    match &marks.link {
        Some(address) if address == inner && !marks.code => {
            out.extend(["[", &target(address), "]"]);
        }
        // Within a link no escape keeps these from ending it.
        Some(address) if inner.contains(['|', '[', ']']) => {
            out.extend([&shown, " ([", &target(address), "])"]);
        }
        Some(address) => out.extend(["[", &shown, "|", &target(address), "]"]),
        None => out.push_str(&shown),
    }
    out.extend(signs.iter().rev().map(sign));
    out.push_str(trail);
}

/// An address between the bars and brackets of a link.
fn target(address: &str) -> String {
    let mut target = String::with_capacity(address.len());
    for c in address.chars() {
        match c {
            '|' | '[' | ']' | '{' | '}' | '\\' | '^' | '"' | '<' | '>' => {
                target.extend(utf8_percent_encode(
                    c.encode_utf8(&mut [0; 4]),
                    NON_ALPHANUMERIC,
                ));
            }
            c if c.is_whitespace() => target.push_str("%20"),
            c => target.push(c),
        }
    }
    target
}

/// A text in which nothing is markup. JIRA's escapes are a backslash before one of ``-#*_+?^~|%{}[]()!@`` that has no
/// other before it; whatever else must be hidden is an HTML entity, which it leaves as it is. `before` and `after` are what it will stand between.
fn escaped(text: &str, before: Option<char>, after: Option<char>) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut before = before;
    let start_of_line = before.is_none_or(|c| c == '\n');
    let mut rest = text;
    if start_of_line {
        // What a line begins with may make it a heading or a quote.
        let words = ["h1.", "h2.", "h3.", "h4.", "h5.", "h6.", "bq."];
        let spaces = rest.len() - rest.trim_start().len();
        if words.iter().any(|word| rest[spaces..].starts_with(word)) {
            out.push_str(&rest[..spaces + 2]);
            out.push_str("&#46;");
            rest = &rest[spaces + 3..];
            before = Some('.');
        }
    }
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let next = rest.chars().next().or(after);
        let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        match c {
            // `\\` breaks the line, and one before a sign is none.
            '\\' if word(next) || next == Some(' ') => out.push('\\'),
            '\\' => out.push_str("&#92;"),
            '{' | '}' | '[' | ']' | '|' | '!' | '^' | '~' => out.extend(['\\', c]),
            // Between letters they are only themselves: `snake_case`, `cross-site`.
            '*' | '_' | '-' | '+' if !(word(before) && word(next)) => out.extend(['\\', c]),
            '?' if next == Some('?') || before == Some('?') => out.extend(['\\', c]),
            '#' if !word(before) => out.extend(['\\', c]),
            '(' if SIGNS.iter().any(|sign| rest.starts_with(sign)) => out.extend(['\\', c]),
            ':' if face(rest) => out.push_str("&#58;"),
            ';' if rest.starts_with(')') => out.push_str("&#59;"),
            '&' if entity(rest) => out.push_str("&amp;"),
            c => out.push(c),
        }
        before = Some(c);
    }
    out
}

/// Whether what comes after a colon makes it a face.
fn face(rest: &str) -> bool {
    let mut after = rest.chars();
    let mouth = after
        .next()
        .is_some_and(|c| matches!(c, ')' | '(' | 'P' | 'D'));
    mouth && !after.next().is_some_and(char::is_alphanumeric)
}

/// Whether what comes after `&` would be shown as another character.
fn entity(rest: &str) -> bool {
    let name = rest.strip_prefix('#').unwrap_or(rest);
    let end = name.find(|c: char| !c.is_ascii_alphanumeric());
    end.is_some_and(|end| end > 0 && name[end..].starts_with(';'))
}
