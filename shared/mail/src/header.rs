//! Values of header fields as ASCII (RFC 5322, RFC 2047), in lines of at most 76 octets where they can be
//! broken, and of 998 where not.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// Octets in a line, without its end, that RFC 2047 allows and RFC 5322 asks for.
const LINE: usize = 76;
/// Octets of text in an encoded word: 48 in Base64, 60 with what is around it, so that a name of 14 octets
/// fits beside it.
const WORD: usize = 36;
/// Octets of a word that is left in one piece, since a Message-ID or a URL would not be one in encoded words.
const MAX_PLAIN_WORD: usize = 900;

/// The text in one line: control characters and line separators are white space, and any white space between
/// words is one space.
pub(crate) fn one_line(text: &str) -> String {
    let space = |c: char| c.is_control() || matches!(c, ' ' | '\u{2028}' | '\u{2029}');
    let words: Vec<&str> = text.split(space).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// The value of a field of free text, after `used` octets of the line.
pub(crate) fn unstructured(text: &str, used: usize) -> String {
    let line = one_line(text);
    let breakable = line.split(' ').all(|word| word.len() <= MAX_PLAIN_WORD);
    if is_plain(&line) && breakable {
        fold(&line, used)
    } else {
        encoded_words(&line)
    }
}

/// The name of a mailbox: a quoted string, or encoded words.
pub(crate) fn display_name(name: &str) -> String {
    if is_plain(name) && name.len() <= LINE / 2 {
        let escaped = name.replace('\\', r"\\").replace('"', "\\\"");
        format!("\"{escaped}\"")
    } else {
        encoded_words(name)
    }
}

/// ASCII that no reader takes for an encoded word.
fn is_plain(line: &str) -> bool {
    line.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !line.contains("=?")
}

/// Broken at spaces, which readers put back.
fn fold(line: &str, used: usize) -> String {
    let mut folded = String::with_capacity(line.len() + 16);
    let mut column = used;
    for (place, word) in line.split(' ').enumerate() {
        if place > 0 {
            if column + 1 + word.len() > LINE {
                folded.push_str("\r\n");
                column = 0;
            }
            folded.push(' ');
            column += 1;
        }
        folded.push_str(word);
        column += word.len();
    }
    folded
}

/// One encoded word a line; each has whole characters, as RFC 2047 wants it.
fn encoded_words(line: &str) -> String {
    let mut rest = line;
    let mut words = Vec::new();
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.floor_char_boundary(WORD));
        words.push(format!("=?utf-8?b?{}?=", BASE64_STANDARD.encode(word)));
        rest = after;
    }
    words.join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_plain_is_encoded() {
        for (text, expected) in [
            ("Three findings", "Three findings"),
            (" a \t b\r\nBcc: x ", "a b Bcc: x"),
            ("", ""),
            ("é", "=?utf-8?b?w6k=?="),
            ("=?utf-8?q?a?=", "=?utf-8?b?PT91dGYtOD9xP2E/PQ==?="),
        ] {
            assert_eq!(unstructured(text, 9), expected);
        }
        assert_eq!(display_name(r#"A "B" \C"#), r#""A \"B\" \\C""#);
    }

    #[test]
    fn lines_have_76_octets_where_they_can_be_broken() {
        let words = "finding ".repeat(40);
        for text in [words, "x".repeat(9_999), "漏洞".repeat(500), "é".repeat(75)] {
            let value = format!("Subject: {}", unstructured(&text, 9));
            let longest = value.split("\r\n").map(str::len).max();
            assert!(longest <= Some(LINE), "{longest:?}: {value}");
        }
        let url = format!("see {}", "u".repeat(900));
        assert_eq!(unstructured(&url, 9), url.replace(' ', "\r\n "));
    }
}
