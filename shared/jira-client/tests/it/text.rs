//! A realistic finding in both forms, summaries and labels, and what comes back from JIRA.

use serde_json::json;
use tatami_jira_client::text::{MAX_SUMMARY, adf, from_adf, summary, wiki};
use tatami_jira_client::{jql, label, parse_timestamp};

const FINDING: &str = r#"**Severity:** High — [CWE-89](https://cwe.mitre.org/data/definitions/89.html), CVSS 8.6

The parameter `order_by` of *GET /orders* reaches the query in `orders/repository.py` unescaped:

```python
def orders(self, order_by):
    return self.db.query(f"SELECT * FROM orders ORDER BY {order_by}")
```

## Steps to reproduce

1. Log in as any user.
2. Open `https://shop.example.com/orders?order_by=id;--`:
   - with `id` it answers in 20 ms,
   - with `id,(select pg_sleep(5))` in 5 s.
3. See the log <request-id>.

| Endpoint | Status |
|----------|--------|
| `/orders` | active \| verified |
| `/orders/archive` | active |

> Never build SQL from what users send!

References: https://owasp.org/www-community/attacks/SQL_Injection, [internal](../wiki/sql).

![screenshot](https://tatami.example.com/files/1.png)
"#;

#[test]
fn a_finding_as_adf() {
    let document = adf(FINDING, None);
    crate::adf::assert_valid(&document);
    insta::assert_json_snapshot!(document);
}

#[test]
fn a_finding_as_wiki_markup() {
    insta::assert_snapshot!(wiki(FINDING, None));
}

#[test]
fn a_finding_there_and_back() {
    insta::assert_snapshot!(from_adf(&adf(FINDING, None)));
}

#[test]
fn summaries_are_one_line() {
    assert_eq!(
        summary("  SQL\r\n injection\tin \u{0}a\u{2028}b "),
        "SQL injection in a b"
    );
    let exact = "é".repeat(MAX_SUMMARY);
    assert_eq!(summary(&exact), exact);
    let cut = summary(&"é".repeat(MAX_SUMMARY + 1));
    assert_eq!(cut.chars().count(), MAX_SUMMARY);
    assert!(cut.ends_with("é…"));
    // Beyond the basic plane JIRA's database counts two.
    let cut = summary(&"😀".repeat(MAX_SUMMARY));
    assert_eq!(cut.encode_utf16().count(), MAX_SUMMARY);
    assert_eq!(
        summary(&format!("{} {}", "a".repeat(253), "b".repeat(9))),
        format!("{}…", "a".repeat(253))
    );
    assert_eq!(summary(" \n"), "");
}

#[test]
fn labels_have_no_spaces() {
    assert_eq!(label(" CVE 2026\t1 ").as_deref(), Some("CVE_2026_1"));
    assert_eq!(label(" \u{7} "), None);
    assert_eq!(label(&"x".repeat(300)).map(|l| l.len()), Some(255));
}

#[test]
fn jql_is_quoted() {
    assert_eq!(jql::text("a\"b\\c\nd'e"), r#""a\"b\\c d'e""#);
    assert_eq!(jql::list(["a", "b c"]), r#"("a", "b c")"#);
}

#[test]
fn times_as_jira_writes_them() {
    for (text, time) in [
        ("2026-01-02T03:04:05.000+0000", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05.678-0930", "2026-01-02T12:34:05.678Z"),
        ("2026-01-02T03:04:05+0100", "2026-01-02T02:04:05Z"),
        ("2026-01-02T03:04:05.000Z", "2026-01-02T03:04:05Z"),
    ] {
        assert_eq!(parse_timestamp(text).unwrap().to_string(), time, "{text}");
    }
    for text in [
        "",
        "2026-01-02",
        "2026-13-02T03:04:05.000+0000",
        "yesterday",
    ] {
        assert!(parse_timestamp(text).is_err(), "{text}");
    }
}

#[test]
fn comments_come_back_as_text() {
    let text = |text: &str| json!({ "type": "text", "text": text });
    let paragraph = |content: serde_json::Value| json!({ "type": "paragraph", "content": content });
    let item = |content: serde_json::Value| json!({ "type": "listItem", "content": content });
    let document = json!({ "version": 1, "type": "doc", "content": [
        paragraph(json!([
            { "type": "mention", "attrs": { "id": "1", "text": "@Mia" } }, text(" it is "),
            { "type": "text", "text": "fixed ", "marks": [{ "type": "strong" }] },
            { "type": "emoji", "attrs": { "shortName": ":tada:", "text": "🎉" } },
            { "type": "hardBreak" },
            { "type": "text", "text": "here", "marks": [{ "type": "link", "attrs": { "href": "https://x.example" } }] },
            text(" "),
            { "type": "inlineCard", "attrs": { "url": "https://y.example" } },
            text(" "), { "type": "status", "attrs": { "text": "DONE" } },
            text(" "), { "type": "date", "attrs": { "timestamp": "1767312000000" } }])),
        { "type": "bulletList", "content": [
            item(json!([paragraph(json!([text("one")])), { "type": "orderedList", "attrs": { "order": 2 },
                "content": [item(json!([paragraph(json!([text("inner")]))]))] }])),
            item(json!([paragraph(json!([text("two")]))]))] },
        { "type": "codeBlock", "attrs": { "language": "sql" }, "content": [text("select 1")] },
        { "type": "blockquote", "content": [paragraph(json!([text("a")])), paragraph(json!([text("b")]))] },
        { "type": "taskList", "content": [
            { "type": "taskItem", "attrs": { "state": "DONE" }, "content": [text("t")] }] },
        { "type": "panel", "content": [paragraph(json!([text("panel")]))] },
        { "type": "mediaSingle", "content": [{ "type": "media", "attrs": { "id": "1", "type": "file" } }] },
        { "type": "rule" },
        { "type": "tomorrow", "content": [{ "type": "unheardOf", "content": [text("new")] }] },
    ] });
    insta::assert_snapshot!(from_adf(&document));
    for odd in [json!(null), json!("x"), json!({ "content": 3 }), json!([])] {
        assert_eq!(from_adf(&odd), "");
    }
}

/// As deep as a body can be that is read, and as broad.
#[test]
fn hostile_documents_stay_small() {
    for (outer, inner) in [
        ("bulletList", "listItem"),
        ("blockquote", "blockquote"),
        ("x", "y"),
    ] {
        let code = "a\n".repeat(300_000);
        let mut node =
            json!({ "type": "codeBlock", "content": [{ "type": "text", "text": code }] });
        for _ in 0..60 {
            node = json!({ "type": inner, "content": [node] });
            node = json!({ "type": outer, "content": [node] });
        }
        let text = from_adf(&json!({ "type": "doc", "content": [node] }));
        assert!(text.contains("a\na\n"));
        assert!(text.len() < 2 * code.len(), "{} bytes", text.len());
    }
}
