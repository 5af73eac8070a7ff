//! HTML that scanners put into their texts, as plain text.

use std::fmt::Write as _;

/// Tags that only format. What else stands between angle brackets is left alone: descriptions of
/// web flaws quote markup.
const BLOCKS: [&str; 22] = [
    "p",
    "br",
    "div",
    "ul",
    "ol",
    "li",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "pre",
    "table",
    "thead",
    "tbody",
    "tr",
    "td",
    "th",
    "blockquote",
    "hr",
    "section",
];
const INLINE: [&str; 11] = [
    "a", "b", "i", "u", "em", "strong", "span", "code", "tt", "small", "font",
];

/// The text without formatting tags, with entities resolved and paragraphs set apart by one empty
/// line.
pub fn to_text(html: &str) -> String {
    convert(html, false)
}

/// As [`to_text`]; links keep their address: `[text](address)`.
pub fn to_text_with_links(html: &str) -> String {
    convert(html, true)
}

/// The text with its entities resolved. Tags and white space stay as they are.
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, _)) = rest.split_once('&') {
        out.push_str(before);
        rest = entity(&rest[before.len()..], &mut out);
    }
    out.push_str(rest);
    out
}

/// Is it the name of a tag that only formats?
pub fn is_formatting(name: &str) -> bool {
    is_block(name) || INLINE.contains(&name)
}

/// Is it the name of a formatting tag that begins a line?
pub fn is_block(name: &str) -> bool {
    BLOCKS.contains(&name)
}

fn convert(html: &str, links: bool) -> String {
    let mut out = String::with_capacity(html.len());
    let mut address = None;
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('&') {
            rest = entity(rest, &mut out);
        } else if let Some(found) = tag(rest) {
            if links && found.name == "a" {
                if let Some(address) = address.take() {
                    // Writing to a string doesn't fail.
                    let _ = write!(out, "]({address})");
                }
                if !found.closing {
                    address = href(found.attributes);
                    out.push_str(if address.is_some() { "[" } else { "" });
                }
            }
            format_tag(&found.name, found.closing, &mut out);
            rest = found.after;
        } else {
            out.push('<');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    if let Some(address) = address {
        let _ = write!(out, "]({address})");
    }
    tidy(&out)
}

/// The address in the attributes of a link, unless it is empty or of a place on the same page.
fn href(attributes: &str) -> Option<String> {
    let at = attributes.to_ascii_lowercase().find("href")?;
    let value = attributes[at + 4..]
        .trim_start()
        .strip_prefix('=')?
        .trim_start();
    let quoted = |quote| value.strip_prefix(quote)?.split(quote).next();
    let value =
        (quoted('"').or_else(|| quoted('\''))).or_else(|| value.split_whitespace().next())?;
    let address = unescape(value.trim());
    (!address.is_empty() && !address.starts_with('#')).then_some(address)
}

fn format_tag(name: &str, closing: bool, out: &mut String) {
    match (name, closing) {
        ("br" | "tr" | "hr", _) | ("li" | "ul" | "ol", true) => out.push('\n'),
        ("li", false) => out.push_str("\n* "),
        ("td" | "th", true) => out.push(' '),
        ("td" | "th", false) => {}
        _ if BLOCKS.contains(&name) => out.push_str("\n\n"),
        _ => {}
    }
}

/// A formatting tag.
struct Tag<'t> {
    name: String,
    closing: bool,
    attributes: &'t str,
    /// What follows it.
    after: &'t str,
}

/// How far a tag may reach, links and styles included: nobody looks for its end to the end of the text.
const LONGEST_TAG: usize = 4096;

/// The formatting tag at the start of `text`.
fn tag(text: &str) -> Option<Tag<'_>> {
    let end = text[..text.floor_char_boundary(LONGEST_TAG)].find('>')?;
    let inner = &text[1..end];
    let (inner, closing) = match inner.strip_prefix('/') {
        Some(inner) => (inner, true),
        None => (inner, false),
    };
    let len = inner
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(inner.len());
    let name = inner[..len].to_ascii_lowercase();
    let known = is_formatting(&name);
    let attributes = &inner[len..];
    // `<b` must be followed by white space, a slash or the end, else it is something like `<b@c>`.
    let clean = attributes.is_empty() || attributes.starts_with([' ', '\t', '\n', '/']);
    (known && clean).then(|| Tag {
        name,
        closing,
        attributes,
        after: &text[end + 1..],
    })
}

/// Writes the entity at the start of `text`; one that isn't known stays as it is.
fn entity<'t>(text: &'t str, out: &mut String) -> &'t str {
    let ahead = &text[1..text.floor_char_boundary(10)];
    let name = ahead.split_once(';').map(|(name, _)| name);
    let found = name.and_then(|name| {
        let number = name.strip_prefix('#');
        let number = number.and_then(|n| match n.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => n.parse().ok(),
        });
        let character = match name {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            "nbsp" => Some(' '),
            _ => number.and_then(char::from_u32),
        };
        character.map(|c| (c, &text[name.len() + 2..]))
    });
    let (character, rest) = found.unwrap_or(('&', &text[1..]));
    out.push(character);
    rest
}

/// No white space at the ends of lines or of the text, no two empty lines in a row.
pub fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.trim().lines().map(str::trim_end) {
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty < 2 {
            out.push_str(line);
            out.push('\n');
        }
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formatting_goes_and_quoted_markup_stays() {
        assert_eq!(to_text("<p>One.</p><p>Two</p>"), "One.\n\nTwo");
        assert_eq!(to_text("a<br/>b <B class=\"x\">c</B>"), "a\nb c");
        assert_eq!(to_text("<ul><li>x</li><li>y</li></ul>"), "* x\n\n* y");
        assert_eq!(
            to_text("use <script>alert(1)</script>"),
            "use <script>alert(1)</script>"
        );
        assert_eq!(
            to_text("1 < 2 &lt;p&gt; &amp;amp; &#39; &nope; &"),
            "1 < 2 <p> &amp; ' &nope; &"
        );
        assert_eq!(to_text("me <b@c.test>"), "me <b@c.test>");
        assert_eq!(to_text(""), "");
    }

    #[test]
    fn links_keep_their_address_where_asked() {
        let html = "<ul><li><A class='x' href=\"https://a.test/?a=1&amp;b\">One</A></li></ul>\
            <a href='#x'>here</a> <a href=https://b.test>two</a> <a>three</a>";
        assert_eq!(
            to_text_with_links(html),
            "* [One](https://a.test/?a=1&b)\n\nhere [two](https://b.test) three"
        );
        assert_eq!(to_text("<a href='https://a.test'>One</a>"), "One");
        assert_eq!(
            to_text_with_links("<a href='https://a.test'>One"),
            "[One](https://a.test)"
        );
    }

    #[test]
    fn entities_are_resolved_and_nothing_else() {
        assert_eq!(
            unescape("a &lt;b&gt;\n\n <p> &nope; &"),
            "a <b>\n\n <p> &nope; &"
        );
    }
}
