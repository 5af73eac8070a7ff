//! Texts from outside, made harmless and cut.

/// Length as Slack and Microsoft count it: in UTF-16 units, which is never less than in characters.
pub(crate) fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Cut to so many UTF-16 units, between characters, with an ellipsis for what is gone.
pub(crate) fn cut(text: &str, max: usize) -> String {
    if length(text) <= max {
        return text.to_owned();
    }
    let mut left = max.saturating_sub(1);
    let fits = |c: &char| {
        let rest = left.checked_sub(c.len_utf16());
        left = rest.unwrap_or(0);
        rest.is_some()
    };
    let kept: String = text.chars().take_while(fits).collect();
    format!("{}…", kept.trim_end())
}

/// Without control characters and those that turn the direction of what follows; lines stay, blank ones at most
/// one at a time.
pub(crate) fn clean(text: &str, max: usize) -> String {
    // enough for whatever remains, so that a huge text isn't gone through
    let text: String = text.chars().take(max.saturating_mul(8)).collect();
    let mut out = String::new();
    let mut blank = 0;
    for line in text.lines() {
        let line = words(line);
        blank = if line.is_empty() { blank + 1 } else { 0 };
        if blank > 1 {
            continue;
        }
        out.push_str(&line);
        out.push('\n');
    }
    cut(out.trim(), max)
}

/// The same in one line.
pub(crate) fn one_line(text: &str, max: usize) -> String {
    let text: String = text.chars().take(max.saturating_mul(8)).collect();
    cut(&words(&text), max)
}

/// Words with a blank between; whatever isn't seen is a blank or nothing.
fn words(text: &str) -> String {
    let seen: String = (text.chars())
        .filter(|c| !turns(*c))
        .map(|c| {
            if c.is_control() || c.is_whitespace() {
                ' '
            } else {
                c
            }
        })
        .collect();
    let words: Vec<&str> = seen.split_ascii_whitespace().collect();
    words.join(" ")
}

/// Marks that turn the direction of what follows (Trojan Source), and noncharacters.
fn turns(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200E}' | '\u{200F}' | '\u{61C}'
        | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}')
}

/// An `http` or `https` address of at most 2,000 bytes without anything that ends it early.
pub(crate) fn is_url(text: &str) -> bool {
    let rest = (text.strip_prefix("https://")).or_else(|| text.strip_prefix("http://"));
    let bad =
        |c: char| c.is_control() || c.is_whitespace() || turns(c) || "<>\"'`|\\^{}".contains(c);
    rest.is_some_and(|rest| !rest.is_empty()) && text.len() <= 2_000 && !text.contains(bad)
}
