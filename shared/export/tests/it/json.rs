use serde_json::{Value, json};
use tatami_export::{Cell, Format, Kind, Options, Sheet, Writer, write};

use crate::table::{HARMLESS, INJECTIONS, column, export, texts, typed};

fn read(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn values_keep_their_types() {
    assert_eq!(
        read(&export(Format::Json, typed())),
        json!([
            {
                "text": "007",
                "integer": -42,
                "number": -1.25,
                "percent": 0.375,
                "bool": true,
                "date": "2026-02-28",
                "moment": "2026-11-30T16:26:28Z",
                "link": "https://tatami.example/finding/7?a=1&b=2",
            },
            {
                "text": null, "integer": null, "number": null, "percent": null,
                "bool": null, "date": null, "moment": null, "link": null,
            },
        ])
    );
}

#[test]
fn texts_come_back_as_they_were_whatever_they_are() {
    let long = "\u{1}é\"\\".repeat(10_000);
    let all: Vec<_> = INJECTIONS
        .into_iter()
        .chain(HARMLESS)
        .chain([long.as_str()])
        .collect();
    let bytes = export(Format::Json, texts(all.iter().copied()));
    let expected: Vec<_> = all.iter().map(|t| json!({"text": t})).collect();
    assert_eq!(read(&bytes), Value::Array(expected));
}

#[test]
fn keys_are_escaped_and_in_order() {
    let sheet = Sheet {
        name: String::new(),
        columns: vec![column("z\"\n", Kind::Number), column("a", Kind::Integer)],
        rows: [
            vec![Cell::Number(f64::NEG_INFINITY), Cell::Integer(1)],
            vec![Cell::Number(2.0), Cell::Empty],
        ],
    };
    assert_eq!(
        String::from_utf8(export(Format::Json, sheet)).unwrap(),
        "[\n{\"z\\\"\\n\":null,\"a\":1},\n{\"z\\\"\\n\":2.0,\"a\":null}\n]\n"
    );
}

#[test]
fn no_rows_and_no_table_are_empty_arrays() {
    assert_eq!(export(Format::Json, texts([])), b"[]\n");
    let none: [Sheet<Vec<Vec<Cell>>>; 0] = [];
    let bytes = write(Format::Json, &Options::default(), Vec::new(), none).unwrap();
    assert_eq!(bytes, b"[]\n");
}

#[test]
fn a_writer_may_wait_between_rows_on_another_thread() {
    let mut writer = Writer::new(Format::Json, &Options::default(), Vec::new()).unwrap();
    writer.begin("t", vec![column("a", Kind::Bool)]).unwrap();
    let bytes = std::thread::spawn(move || {
        writer.row(&[Cell::Bool(false)]).unwrap();
        writer.finish().unwrap()
    })
    .join()
    .unwrap();
    assert_eq!(read(&bytes), json!([{"a": false}]));
}
