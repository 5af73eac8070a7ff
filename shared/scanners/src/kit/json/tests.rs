use serde::Deserialize;

use super::*;
use crate::Collected;

#[derive(Debug, Deserialize, PartialEq)]
struct Record {
    id: u32,
    #[serde(default)]
    name: String,
}

fn records(bytes: &[u8]) -> (Result<Vec<Record>, Refusal>, Collected) {
    let mut sink = Collected::default();
    let mut found = Vec::new();
    let result = read(Report::from_bytes("r.json", bytes), |json| {
        json.object(|json, key| match key {
            "groups" => json.objects(&mut sink, |json, sink| {
                json.object(|json, key| {
                    if key == "records" {
                        json.records(sink, |record, _| {
                            found.push(record);
                            Ok(())
                        })?;
                    }
                    Ok(())
                })
            }),
            _ => json.skip(),
        })
    });
    (result.map(|()| found), sink)
}

fn refusal(bytes: &[u8]) -> Refusal {
    records(bytes).0.unwrap_err()
}

const GOOD: &str = r#"{"x": [1, {"y": "}]\"\\"}], "groups": [
  {"records": [{"id": 1, "name": "é"}, {"id": 2}], "z": -1.5e3},
  {"a": null, "records": []},
  {"records": [{"id": 3}]}
], "end": true}
"#;

fn ids(found: &[Record]) -> Vec<u32> {
    found.iter().map(|r| r.id).collect()
}

#[test]
fn elements_come_one_by_one_in_every_encoding() {
    for mark in ["", "\u{feff}"] {
        let text = format!("{mark}{GOOD}");
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [text.as_bytes(), &wide] {
            let (found, sink) = records(bytes);
            let found = found.unwrap();
            assert_eq!(ids(&found), [1, 2, 3]);
            assert_eq!(found[0].name, "é");
            assert!(sink.warnings.is_empty());
        }
    }
}

#[test]
fn records_may_be_longer_than_a_chunk() {
    let name = "n\\\"".repeat(200_000);
    let text = format!(
        "{{\"skip\": [\"{name}\"], \"groups\": [{{\"records\": [{}{{\"id\": 9, \"name\": \"{name}\"}}]}}]}}",
        "{\"id\": 8, \"name\": \"abcdefghi\"},\n".repeat(20_000)
    );
    let found = records(text.as_bytes()).0.unwrap();
    assert_eq!(found.len(), 20_001);
    assert_eq!(found[20_000].name.len(), 400_000);
}

#[test]
fn what_does_not_fit_is_a_warning_with_its_place() {
    let text = r#"{"groups": [{"records": [{"id": 1}, {"id": "x"}, 5, {"id": 2}]}, "no", null]}"#;
    let (found, sink) = records(text.as_bytes());
    assert_eq!(ids(&found.unwrap()), [1, 2]);
    let told: Vec<_> = (sink.warnings.iter())
        .map(|w| format!("{}: {}", w.record, w.message))
        .collect();
    assert_eq!(
        told,
        [
            "groups[0].records[1]: invalid type: string \"x\", expected u32 at line 1, column 46",
            "groups[0].records[2]: invalid type: integer `5`, expected struct Record at line 1, column 50",
            "groups[1]: is a text, expected an object",
        ]
    );
}

#[test]
fn every_truncation_is_refused_with_its_place() {
    let whole = GOOD.trim_end();
    for end in 1..whole.len() {
        let Err(refusal) = records(&whole.as_bytes()[..end]).0 else {
            panic!("accepted {:?}", &whole.as_bytes()[..end]);
        };
        assert!(refusal.position.is_some(), "{refusal}");
        assert_eq!(
            refusal.hint.as_deref(),
            Some("was the upload cut off?"),
            "{end} {refusal}"
        );
    }
    let cut = refusal(&GOOD.as_bytes()[..70]);
    assert_eq!(
        cut.to_string(),
        "the file ends in the middle of groups[0].records[0] at line 2, column 31; was the upload cut off?"
    );
}

#[test]
fn broken_syntax_is_refused_with_its_place() {
    for (text, message) in [
        (
            "",
            "the report is empty; send the scanner's report file itself",
        ),
        (
            " \n",
            "the report is empty; send the scanner's report file itself",
        ),
        (
            "<a/>",
            "this is not JSON at line 1, column 1; it looks like XML or HTML",
        ),
        (
            "title,severity",
            "this is not JSON: it begins with \"title,severi\" at line 1, column 1; is this the right file for the scan type?",
        ),
        (
            "[1]",
            "the report is a list, expected an object at line 1, column 1",
        ),
        (
            "{\"a\": 1,}",
            "broken JSON: unexpected \"}\" at line 1, column 9",
        ),
        (
            "{\"a\" 1}",
            "broken JSON: unexpected \"1}\" at line 1, column 6",
        ),
        (
            "{\"a\": 1}\n{}",
            "more follows after the end of the JSON value at line 2, column 1; send one report in one file",
        ),
        (
            "{\"a\":\n [1}]}",
            "broken JSON: a bracket is closed that wasn't opened in a at line 2, column 4",
        ),
    ] {
        assert_eq!(refusal(text.as_bytes()).to_string(), message, "{text}");
    }
}

#[test]
fn a_record_that_is_broken_between_its_brackets_does_not_cost_the_others() {
    for (broken, message) in [
        (
            "{\"id\": 2,\n \"name\": oops}",
            "broken JSON: expected value at line 2, column 10",
        ),
        (
            "{\"id\": 2,}",
            "broken JSON: trailing comma at line 1, column 46",
        ),
        (
            "{\"id\": 1e999}",
            "broken JSON: number out of range at line 1, column 48",
        ),
        (
            "{\"id\": 2, \"id\": 3}",
            "duplicate field `id` at line 1, column 50",
        ),
    ] {
        let text =
            format!("{{\"groups\": [{{\"records\": [{{\"id\": 1}}, {broken}, {{\"id\": 4}}]}}]}}");
        let (found, sink) = records(text.as_bytes());
        assert_eq!(ids(&found.unwrap()), [1, 4]);
        assert_eq!(sink.warnings[0].record, "groups[0].records[1]");
        assert_eq!(sink.warnings[0].message, message);
    }
}

#[test]
fn a_record_of_too_many_values_is_a_warning() {
    let many = "[],".repeat(MAX_PARTS);
    let text = format!(
        "{{\"groups\": [{{\"records\": [{{\"id\": 1}}, {{\"id\": 2, \"x\": [{many}0]}}, {{\"id\": 3}}]}}]}}"
    );
    let (found, sink) = records(text.as_bytes());
    assert_eq!(ids(&found.unwrap()), [1, 3]);
    assert!(sink.warnings[0].message.contains("200000 values"));
}

#[test]
fn values_may_come_one_after_the_other() {
    let mut sink = Collected::default();
    let mut found = Vec::new();
    let lines = b"{\"id\": 1}\n\n{\"id\": \"x\"}{\"id\": 3}\r\n";
    read_lines(Report::from_bytes("r", lines), |json| {
        found.extend(json.record::<Record>(&mut sink)?);
        Ok(())
    })
    .unwrap();
    assert_eq!(ids(&found), [1, 3]);
    assert_eq!(sink.warnings[0].record, "[1]");
    for broken in ["{\"id\": 1}\n{\"id\"", "{\"id\": 1}\nx: 1"] {
        let report = Report::from_bytes("r", broken.as_bytes());
        let read = read_lines(report, |json| json.value::<Record>().map(drop));
        assert_eq!(read.unwrap_err().position.unwrap().line, 2, "{broken}");
    }
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let text = format!(
            "{{\"x\": {}1{}}}",
            open.repeat(100_000),
            close.repeat(100_000)
        );
        assert!(refusal(text.as_bytes()).message.contains("nested deeper"));
    }
    let text = "[".repeat(50_000);
    assert_eq!(outline(text.as_bytes()), outline(text.as_bytes()));
}

#[test]
fn wrong_bytes_and_half_characters_do_not_cost_the_record() {
    let (found, _) = records(b"{\"groups\": [{\"records\": [{\"id\": 1, \"name\": \"a\xffb\"}]}]}");
    assert_eq!(found.unwrap()[0].name, "a\u{fffd}b");
    let text =
        r#"{"groups": [{"records": [{"id": 1, "name": "\\ud800 \ud83d\ude00 \ud800 \udc00x"}]}]}"#;
    let (found, _) = records(text.as_bytes());
    assert_eq!(found.unwrap()[0].name, "\\ud800 😀 \u{fffd} \u{fffd}x");
}

#[test]
fn lenient_types_take_what_reports_write() {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Loose {
        text: Text,
        decimal: Decimal,
        int: Int,
        flag: Flag,
        list: List,
        pairs: Pairs<Int>,
    }
    let loose = |text: &str| serde_json::from_str::<Loose>(text).unwrap();
    let a = loose(
        r#"{"text": 5, "decimal": " .5", "int": "42", "flag": "Yes", "list": "one", "pairs": {"c": null, "b": 2, "a": "1"}}"#,
    );
    assert_eq!(&*a.text, "5");
    assert_eq!(a.decimal.0, Some(0.5));
    assert_eq!(a.int.0, Some(42));
    assert_eq!(a.flag.0, Some(true));
    assert_eq!(a.list.texts().collect::<Vec<_>>(), ["one"]);
    assert_eq!(a.pairs.0[0].0, "b");
    assert_eq!(a.pairs.get("a"), Some(&Int(Some(1))));
    let b = loose(
        r#"{"text": null, "decimal": "N/A", "int": 12.0, "flag": 0, "list": ["a", 1, null], "pairs": []}"#,
    );
    assert_eq!(b.text.some(), None);
    assert_eq!(b.decimal.0, None);
    assert_eq!(b.int.0, Some(12));
    assert_eq!(b.flag.0, Some(false));
    assert_eq!(b.list.texts().collect::<Vec<_>>(), ["a", "1"]);
    let c = loose(r#"{"decimal": 7, "int": -1, "flag": "N/A", "list": null, "pairs": null}"#);
    assert_eq!(c.decimal.0, Some(7.0));
    assert_eq!(c.int.0, None);
    assert_eq!(c.flag.0, None);
    assert!(c.list.0.is_empty());
    let many = serde_json::from_str::<OneOrMany<Record>>(r#"{"id": 1}"#).unwrap();
    assert_eq!(ids(&many.0), [1]);
}

#[test]
fn an_outline_needs_no_whole_report() {
    let text = r#" {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "N\"x"}}, "n": [1,2]}, {"other": 1}], "z": tru"#;
    for (bytes, whole) in [(text.to_owned(), true), (text[..60].to_owned(), false)] {
        let seen = outline(bytes.as_bytes());
        assert_eq!(seen.text("version"), Some("2.1.0"));
        assert!(seen.has_all(&["runs", "runs[].tool.driver"]));
        assert_eq!(
            seen.text("runs[].tool.driver.name"),
            whole.then_some("N\"x")
        );
        assert!(!seen.has("runs[].other"));
        assert_eq!(seen.keys("runs[].tool").collect::<Vec<_>>(), ["driver"]);
        let top: Vec<_> = seen.keys("").collect();
        assert_eq!(
            top,
            if whole {
                vec!["version", "runs", "z"]
            } else {
                vec!["version", "runs"]
            }
        );
    }
    assert!(outline(b"[{\"a\": 1}]").has("[].a"));
    assert_eq!(outline(b"<xml/>"), Outline::default());
    assert_eq!(outline(b""), Outline::default());
    let _ = outline(b"{\"a\\");
}

#[test]
fn warnings_beyond_the_first_thousand_are_counted() {
    let text = format!("[{}1]", "1,".repeat(1499));
    let mut out = Collected::default();
    read(Report::from_bytes("r", text.as_bytes()), |json| {
        json.records(&mut out, |_: Vec<u8>, _| Ok(()))
    })
    .unwrap();
    assert_eq!((out.warnings.len(), out.untold), (1000, 500));
    assert_eq!(out.warnings[999].record, "[999]");
    let printed = crate::parsed_json("x", &out).unwrap();
    let last = printed["warnings"].as_array().and_then(|all| all.last());
    let told = "and 500 more records were left out";
    assert_eq!(last.map(|last| &last["message"]), Some(&told.into()));
}
