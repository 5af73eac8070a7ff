//! ADF by the rules of the public schema, written down here once more; and any Markdown against them.

use proptest::prelude::*;
use serde_json::{Value, json};
use tatami_jira_client::text::{self, MAX_TEXT};

const BLOCKS: &[&str] = &[
    "paragraph",
    "heading",
    "bulletList",
    "orderedList",
    "codeBlock",
    "blockquote",
    "rule",
    "table",
];
const IN_QUOTE: &[&str] = &["paragraph", "bulletList", "orderedList", "codeBlock"];

/// What is wrong with a document.
pub fn errors(document: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    if document["type"] != "doc" || document["version"] != 1 {
        errors.push("no document of version 1".to_owned());
    }
    blocks(document, BLOCKS, &mut errors);
    errors
}

fn content(node: &Value) -> &[Value] {
    node["content"].as_array().map_or(&[], Vec::as_slice)
}

fn blocks(node: &Value, allowed: &[&str], errors: &mut Vec<String>) {
    for child in content(node) {
        block(child, allowed, errors);
    }
}

fn inlines(node: &Value, with_marks: bool, errors: &mut Vec<String>) {
    for child in content(node) {
        inline(child, with_marks, errors);
    }
}

fn block(node: &Value, allowed: &[&str], errors: &mut Vec<String>) {
    let kind = node["type"].as_str().unwrap_or_default();
    let mut wrong = |what: &str| errors.push(format!("{kind}: {what}"));
    if !allowed.contains(&kind) {
        wrong("isn't allowed there");
    }
    let needs_content = !matches!(kind, "paragraph" | "heading" | "codeBlock" | "rule");
    if needs_content && content(node).is_empty() {
        wrong("is empty");
    }
    match kind {
        "heading" => {
            if !node["attrs"]["level"]
                .as_u64()
                .is_some_and(|l| (1..=6).contains(&l))
            {
                wrong("has no level");
            }
            inlines(node, true, errors);
        }
        "paragraph" => inlines(node, true, errors),
        "codeBlock" => inlines(node, false, errors),
        "blockquote" => blocks(node, IN_QUOTE, errors),
        "bulletList" | "orderedList" => blocks(node, &["listItem"], errors),
        "listItem" => {
            for (at, child) in content(node).iter().enumerate() {
                let first: &[&str] = &["paragraph", "codeBlock"];
                block(child, if at == 0 { first } else { IN_QUOTE }, errors);
            }
        }
        "table" => blocks(node, &["tableRow"], errors),
        "tableRow" => blocks(node, &["tableCell", "tableHeader"], errors),
        "tableCell" | "tableHeader" => blocks(node, &["paragraph"], errors),
        _ => {}
    }
}

fn inline(node: &Value, with_marks: bool, errors: &mut Vec<String>) {
    match node["type"].as_str() {
        Some("hardBreak") if with_marks => {}
        Some("text") => {
            if node["text"].as_str().is_none_or(str::is_empty) {
                errors.push("an empty text".to_owned());
            }
            let marks: Vec<&str> = node["marks"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|mark| mark["type"].as_str())
                .collect();
            let code = marks.contains(&"code");
            for mark in &marks {
                let known = ["link", "code", "strong", "em", "strike"].contains(mark);
                let beside_code = !code || matches!(*mark, "code" | "link");
                if !known || !beside_code || !with_marks {
                    errors.push(format!("the mark {mark} beside {marks:?}"));
                }
            }
            let links = node["marks"].as_array().into_iter().flatten();
            for link in links.filter(|mark| mark["type"] == "link") {
                if link["attrs"]["href"].as_str().is_none_or(str::is_empty) {
                    errors.push("a link to nowhere".to_owned());
                }
            }
        }
        other => errors.push(format!("{other:?} in a line")),
    }
}

/// The published schema, where somebody has it (`npm pack @atlaskit/adf-schema`, `json-schema/v1/full.json`).
fn published() -> Option<&'static jsonschema::Validator> {
    static SCHEMA: std::sync::OnceLock<Option<jsonschema::Validator>> = std::sync::OnceLock::new();
    let read = || {
        let path = crate::variable("TATAMI_ADF_SCHEMA")?;
        let schema = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        Some(jsonschema::validator_for(&schema).unwrap())
    };
    SCHEMA.get_or_init(read).as_ref()
}

pub fn assert_valid(document: &Value) {
    assert_eq!(errors(document), [""; 0], "{document:#}");
    if let Some(schema) = published() {
        assert!(schema.is_valid(document), "{document:#}");
    }
    let length = document.to_string().encode_utf16().count();
    assert!(length <= MAX_TEXT, "{length} is too long");
}

#[test]
fn the_check_finds_what_is_wrong() {
    let document = |node: Value| json!({ "version": 1, "type": "doc", "content": [node] });
    let text = |marks: Value| {
        document(json!({ "type": "paragraph",
            "content": [{ "type": "text", "text": "a", "marks": marks }] }))
    };
    assert_eq!(errors(&text(json!([{ "type": "code" }]))), [""; 0]);
    let wrong = [
        text(json!([{ "type": "code" }, { "type": "strong" }])),
        text(json!([{ "type": "link", "attrs": { "href": "" } }])),
        document(json!({ "type": "paragraph", "content": [{ "type": "text", "text": "" }] })),
        document(json!({ "type": "bulletList", "content": [] })),
        document(json!({ "type": "blockquote", "content": [{ "type": "rule" }] })),
        document(json!({ "type": "heading", "attrs": { "level": 7 } })),
        document(json!({ "type": "codeBlock", "content": [{ "type": "hardBreak" }] })),
        json!({ "type": "doc" }),
    ];
    for document in wrong {
        assert_ne!(errors(&document), [""; 0], "{document}");
        if let Some(schema) = published() {
            let own_rule = document.to_string().contains("\"href\":\"\"");
            assert!(own_rule || !schema.is_valid(&document), "{document}");
        }
    }
}

#[test]
fn every_part_of_markdown() {
    let cases = [
        (
            "a  \nb",
            json!([{ "type": "paragraph", "content": [{ "type": "text", "text": "a" },
            { "type": "hardBreak" }, { "type": "text", "text": "b" }] }]),
        ),
        (
            "**`x`**",
            json!([{ "type": "paragraph", "content": [{ "type": "text", "text": "x",
            "marks": [{ "type": "code" }] }] }]),
        ),
        (
            "~~a~~ *b*",
            json!([{ "type": "paragraph", "content": [
            { "type": "text", "text": "a", "marks": [{ "type": "strike" }] }, { "type": "text", "text": " " },
            { "type": "text", "text": "b", "marks": [{ "type": "em" }] }] }]),
        ),
        (
            "```rust,ignore\nfn a() {}\n```",
            json!([{ "type": "codeBlock", "attrs": { "language": "rust" },
            "content": [{ "type": "text", "text": "fn a() {}" }] }]),
        ),
        ("```\n```", json!([{ "type": "codeBlock" }])),
        (
            "3. a",
            json!([{ "type": "orderedList", "attrs": { "order": 3 }, "content": [{ "type": "listItem",
            "content": [{ "type": "paragraph", "content": [{ "type": "text", "text": "a" }] }] }] }]),
        ),
        (
            "-",
            json!([{ "type": "bulletList", "content": [{ "type": "listItem",
            "content": [{ "type": "paragraph", "content": [] }] }] }]),
        ),
        (
            "> # a\n> ***\n> > b",
            json!([{ "type": "blockquote", "content": [
            { "type": "paragraph", "content": [{ "type": "text", "text": "a", "marks": [{ "type": "strong" }] }] },
            { "type": "paragraph", "content": [{ "type": "text", "text": "b" }] }] }]),
        ),
        (
            "![logo](https://x.example/a.png)",
            json!([{ "type": "paragraph", "content": [{ "type": "text",
            "text": "logo", "marks": [{ "type": "link", "attrs": { "href": "https://x.example/a.png" } }] }] }]),
        ),
        (
            "![](https://x.example/a.png)",
            json!([{ "type": "paragraph", "content": [{ "type": "text",
            "text": "https://x.example/a.png",
            "marks": [{ "type": "link", "attrs": { "href": "https://x.example/a.png" } }] }] }]),
        ),
        (
            "[a](javascript:alert(1))",
            json!([{ "type": "paragraph", "content": [
            { "type": "text", "text": "a" }, { "type": "text", "text": " (javascript:alert(1))" }] }]),
        ),
        (
            "see (https://x.example/a_b).",
            json!([{ "type": "paragraph", "content": [
            { "type": "text", "text": "see (" },
            { "type": "text", "text": "https://x.example/a_b",
                "marks": [{ "type": "link", "attrs": { "href": "https://x.example/a_b" } }] },
            { "type": "text", "text": ")." }] }]),
        ),
        (
            "a <b>c</b>",
            json!([{ "type": "paragraph", "content": [{ "type": "text", "text": "a <b>c</b>" }] }]),
        ),
        (
            "a\u{0}b\u{7}c",
            json!([{ "type": "paragraph", "content": [{ "type": "text", "text": "abc" }] }]),
        ),
        ("", json!([])),
        ("---", json!([{ "type": "rule" }])),
    ];
    for (markdown, content) in cases {
        let document = text::adf(markdown, None);
        assert_eq!(document["content"], content, "{markdown}: {document:#}");
        assert_valid(&document);
    }
}

#[test]
fn tables_have_a_head_and_equal_rows() {
    let document = text::adf(
        "| a | b |\n|---|---|\n| 1 |\n| `2` | **3** |\n\n- | a |\n  |---|\n  | 1 |",
        None,
    );
    assert_valid(&document);
    let rows = document["content"][0]["content"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["content"][1]["type"], "tableHeader");
    assert_eq!(rows[1]["content"][1]["content"][0]["content"], json!([]));
    let item = &document["content"][1]["content"][0]["content"];
    assert_eq!(item[1]["content"][0]["text"], "1", "{item:#}");
}

/// Lists in lists far beyond what a stack holds.
#[test]
fn depth_has_an_end() {
    for deep in [
        "> ".repeat(40_000),
        "- ".repeat(40_000),
        "**".repeat(40_000),
        "[".repeat(40_000),
    ] {
        let markdown = format!("{deep}x");
        assert_valid(&text::adf(&markdown, None));
        assert!(text::wiki(&markdown, None).contains('x') || deep.len() > 100_000);
    }
    let nested: String = (0..60)
        .map(|n| format!("{}- {n}\n", "  ".repeat(n)))
        .collect();
    let document = text::adf(&nested, None);
    assert_valid(&document);
    for n in 0..60 {
        assert!(
            document.to_string().contains(&format!("\"{n}\"")),
            "{n} is lost"
        );
    }
}

#[test]
fn what_is_too_long_ends_at_a_block_with_a_link() {
    let whole = Some("https://tatami.example.com/finding/1");
    let paragraphs: String = (0..2000)
        .map(|n| format!("Paragraph {n} of it.\n\n"))
        .collect();
    let code = format!("```\n{}```", "let a = \"quoted\";\n".repeat(4000));
    let one_word = "x".repeat(100_000);
    let list = "- item\n".repeat(9000);
    let table = format!("| a |\n|---|\n{}", "| cell |\n".repeat(9000));
    let quotes = format!("> {}", "\"\\ ".repeat(30_000));
    let huge = "word ".repeat(2_000_000);
    for markdown in [paragraphs, code, one_word, list, table, quotes, huge] {
        let document = text::adf(&markdown, whole);
        assert_valid(&document);
        let nodes = document["content"].as_array().unwrap();
        let end = nodes.last().unwrap().to_string();
        assert!(
            end.contains("cut here") && end.contains("/finding/1"),
            "{end}"
        );
        let length = document.to_string().len();
        assert!(length > MAX_TEXT * 9 / 10, "only {length} are left");
        let wiki = text::wiki(&markdown, whole);
        assert!(wiki.encode_utf16().count() <= MAX_TEXT);
        assert!(wiki.ends_with(
            "_The text is cut here:_ [the whole of it|https://tatami.example.com/finding/1]"
        ));
        assert!(
            wiki.len() > MAX_TEXT * 9 / 10,
            "only {} are left",
            wiki.len()
        );
    }
    let paragraph = format!("First.\n\n{}\n\n", "word ".repeat(190)).repeat(100);
    let document = text::adf(&paragraph, None);
    let nodes = document["content"].as_array().unwrap();
    let cut = &nodes[nodes.len() - 3]["content"][0]["text"];
    let whole = cut == "First." || cut.as_str().unwrap().len() == "word ".len() * 190 - 1;
    assert!(whole, "a short paragraph is cut inside: {cut}");
}

/// Markdown that has something of everything.
pub fn markdown() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\n".to_owned()),
        Just("\n\n".to_owned()),
        "[-*+>#`~|!\\[\\](){}_\\\\&<:; ]{1,4}",
        "[a-zA-Z0-9 ]{1,12}",
        Just("  \n".to_owned()),
        Just("\n> ".to_owned()),
        Just("\n- ".to_owned()),
        Just("\n  1. ".to_owned()),
        Just("\n| a | b |\n|---|---|\n| ".to_owned()),
        Just("\n```rust\n".to_owned()),
        Just("[a](https://x.example/?q=1|2)".to_owned()),
        Just("![](x.png)".to_owned()),
        Just("<div>\n".to_owned()),
        Just("**".to_owned()),
        Just("http://a.example/b_c".to_owned()),
        "\\PC{1,6}",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_markdown_is_a_valid_document(markdown in markdown()) {
        let document = text::adf(&markdown, None);
        assert_valid(&document);
        // And can be read back.
        text::from_adf(&document);
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_long_markdown_fits(markdown in markdown(), times in 1_usize..3000) {
        let markdown = markdown.repeat(times.min(150_000 / markdown.len().max(1)));
        assert_valid(&text::adf(&markdown, Some("https://tatami.example.com/1")));
    }
}
