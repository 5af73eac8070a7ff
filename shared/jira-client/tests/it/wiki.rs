//! Wiki markup, and that what isn't markup in Markdown is none there.

use proptest::prelude::*;
use tatami_jira_client::text::{self, MAX_TEXT};

use crate::adf::markdown;

#[test]
fn every_part_of_markdown() {
    let cases = [
        ("# A\n\n## B *c*", "h1. A\n\nh2. B _c_"),
        ("a  \nb", "a\\\\\nb"),
        (
            "**a** and *b* and ~~c~~ and `d`",
            "*a* and _b_ and -c- and {{d}}",
        ),
        ("x**a**y", "x{*}a{*}y"),
        ("***a***", "*_a_*"),
        ("- a\n  - b\n    1. c\n- d", "* a\n** b\n**# c\n* d"),
        ("1. a\n\n   more\n2. b", "# a\n\\\\ more\n# b"),
        ("> a\n>\n> b", "{quote}\na\n\nb\n{quote}"),
        ("```python\nx = {1}\n```", "{code:python}\nx = {1}\n{code}"),
        ("```brainfuck\n+\n```", "{noformat}\n+\n{noformat}"),
        ("```java\n{code}\n```", "{noformat}\n{code}\n{noformat}"),
        (
            "    {noformat}",
            "{noformat}\n{\u{200B}noformat}\n{noformat}",
        ),
        (
            "| a | b |\n|---|---|\n| 1 \\| 2 | |",
            "||a||b||\n|1 \\| 2| |",
        ),
        (
            "[a|b](https://x.example/?a=1|2)",
            "a\\|b ([https://x.example/?a=1%7C2])",
        ),
        ("<https://x.example/>", "[https://x.example/]"),
        (
            "see https://x.example/a-b_c.",
            "see [https://x.example/a-b_c].",
        ),
        ("---", "----"),
        ("snake_case cross-site 1*2", "snake_case cross-site 1*2"),
        (
            "{code} \\[a\\] !b! a - b",
            "\\{code\\} \\[a\\] \\!b\\! a \\- b",
        ),
        ("C:\\Temp \\\\\\\\server", "C:\\Temp &#92;\\server"),
        ("h1. no heading", "h1&#46; no heading"),
        ("bq. none", "bq&#46; none"),
        ("\\# none \\+x", "\\# none \\+x"),
        ("a :) (x) &amp;lt;", "a &#58;) \\(x) &amp;lt;"),
        ("<b>x</b>", "<b>x</b>"),
        ("", ""),
    ];
    for (markdown, wiki) in cases {
        assert_eq!(text::wiki(markdown, None), wiki, "{markdown}");
    }
}

/// What JIRA shows of an escaped text.
fn shown(wiki: &str) -> String {
    let mut out = String::new();
    let mut rest = wiki;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let next = rest.chars().next();
        match (c, next) {
            ('\\', Some('\\')) => panic!("a line break in {wiki}"),
            ('\\', Some(sign)) if "-#*_+?^~|%{}[]()!@".contains(sign) => {
                out.push(sign);
                rest = &rest[1..];
            }
            ('&', _) if rest.starts_with('#') => {
                let (number, after) = rest[1..].split_once(';').unwrap();
                out.push(char::from(number.parse::<u8>().unwrap()));
                rest = after;
            }
            ('&', _) if rest.starts_with("amp;") => {
                out.push('&');
                rest = &rest[4..];
            }
            _ => out.push(c),
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// A text in which all of Markdown is escaped is the same text in JIRA.
    #[test]
    fn escapes_keep_the_text(text in "[a-zA-Z0-9 äß{}\\[\\]*_|!^~+?#()&;:.,'\"@$%/<=>`\\\\-]{1,40}") {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        prop_assume!(!text.contains("://") && !text.is_empty());
        let markdown: String = text
            .chars()
            .flat_map(|c| c.is_ascii_punctuation().then_some('\\').into_iter().chain([c]))
            .collect();
        let wiki = text::wiki(&markdown, None);
        prop_assert_eq!(shown(&wiki), text, "{}", wiki);
        for sign in ["{", "[", "|", "!"] {
            for (at, _) in wiki.match_indices(sign) {
                prop_assert!(wiki[..at].ends_with('\\'), "{} in {}", sign, wiki);
            }
        }
    }

    /// Every word of a text is still there, whatever it stands in.
    #[test]
    fn words_stay(words in prop::collection::vec("[a-z]{3,8}", 1..12), signs in prop::collection::vec("(\n- |\n\n> |\n\n# |\n\n| [*]| `|\n1[.] )", 12)) {
        let mut markdown = String::new();
        for (word, sign) in words.iter().zip(&signs) {
            markdown.push_str(sign);
            markdown.push_str(word);
        }
        let wiki = text::wiki(&markdown, None);
        let adf = text::from_adf(&text::adf(&markdown, None));
        for word in &words {
            prop_assert!(wiki.contains(word.as_str()), "{} in {}", word, wiki);
            prop_assert!(adf.contains(word.as_str()), "{} in {}", word, adf);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_markdown_fits(markdown in markdown(), times in 1_usize..3000) {
        let markdown = markdown.repeat(times.min(150_000 / markdown.len().max(1)));
        prop_assert!(text::wiki(&markdown, None).encode_utf16().count() <= MAX_TEXT);
    }
}
