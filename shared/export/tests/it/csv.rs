use tatami_export::{Cell, Format, Kind, Options, Sheet, write};

use crate::table::{HARMLESS, INJECTIONS, column, export, text, texts, typed};

/// All records, the header too.
fn read(bytes: &[u8], delimiter: u8) -> Vec<Vec<String>> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(bytes)
        .records()
        .map(|record| record.unwrap().iter().map(str::to_owned).collect())
        .collect()
}

fn first_column(bytes: &[u8]) -> Vec<String> {
    read(bytes, b',')
        .into_iter()
        .skip(1)
        .map(|mut record| record.remove(0))
        .collect()
}

fn for_excel() -> Options {
    Options {
        csv_for_excel: true,
        ..Options::default()
    }
}

#[test]
fn each_kind_is_written_plainly() {
    assert_eq!(
        String::from_utf8(export(Format::Csv, typed())).unwrap(),
        "text,integer,number,percent,bool,date,moment,link\r\n\
         007,-42,-1.25,0.375,true,2026-02-28,2026-11-30T16:26:28Z,https://tatami.example/finding/7?a=1&b=2\r\n\
         ,,,,,,,\r\n"
    );
}

#[test]
fn harmless_texts_come_back_as_they_were() {
    assert_eq!(
        first_column(&export(Format::Csv, texts(HARMLESS))),
        HARMLESS
    );
}

#[test]
fn texts_that_may_be_formulas_get_a_quote_in_front() {
    let expected: Vec<_> = INJECTIONS.iter().map(|t| format!("'{t}")).collect();
    assert_eq!(
        first_column(&export(Format::Csv, texts(INJECTIONS))),
        expected
    );
}

#[test]
fn headers_and_links_may_be_formulas_too() {
    let sheet = Sheet {
        name: String::new(),
        columns: vec![column("=1+1", Kind::Link)],
        rows: [vec![Cell::Link("=1+1".to_owned())]],
    };
    assert_eq!(export(Format::Csv, sheet), b"'=1+1\r\n'=1+1\r\n");
}

#[test]
fn for_excel_a_text_stays_harmless_where_semicolons_end_cells() {
    let payloads = [
        "a;=1+1",
        "a; =1+1;b",
        "a\n=1+1",
        "a\r\n-1+1",
        "a\t@SUM(1)",
        "a;\"=1+1\"",
        "a;\"\"\n;+1",
        "=1;=2",
    ];
    let sheet = Sheet {
        name: String::new(),
        columns: vec![column("id", Kind::Integer), column("text", Kind::Text)],
        rows: payloads.map(|t| vec![Cell::Integer(1), text(t)]),
    };
    let bytes = write(Format::Csv, &for_excel(), Vec::new(), [sheet]).unwrap();
    // The coarsest reading: everything that may end a cell does, and quotes hold nothing together.
    let whole = String::from_utf8(bytes).unwrap();
    for cell in whole.split([';', '\t', '\r', '\n']) {
        let cell = cell.trim_matches([' ', '"', '\u{feff}']);
        assert!(
            !cell.starts_with(['=', '+', '-', '@']),
            "{cell:?} in {whole}"
        );
    }
    assert_eq!(whole.matches('\'').count(), 9, "{whole}");
    // Nothing else has changed.
    let records = read(whole.as_bytes(), b',');
    for (payload, record) in payloads.iter().zip(&records[1..]) {
        assert_eq!(record[1].replace('\'', ""), *payload);
    }
}

#[test]
fn the_byte_order_mark_is_there_when_asked_for() {
    let bytes = write(Format::Csv, &for_excel(), Vec::new(), [texts(["ü"])]).unwrap();
    assert_eq!(bytes, "\u{feff}text\r\nü\r\n".as_bytes());
    let bytes = export(Format::Csv, texts(["ü"]));
    assert_eq!(bytes, "text\r\nü\r\n".as_bytes());
}

#[test]
fn quotes_commas_and_line_ends_are_quoted() {
    let bytes = export(Format::Csv, texts(["a\"b", "a,b", "a\nb", "a\rb", ""]));
    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        "text\r\n\"a\"\"b\"\r\n\"a,b\"\r\n\"a\nb\"\r\n\"a\rb\"\r\n\"\"\r\n"
    );
}

#[test]
fn long_texts_and_odd_numbers() {
    let long = "é,\"".repeat(10_000);
    assert_eq!(
        first_column(&export(Format::Csv, texts([long.as_str()]))),
        [long]
    );
    let sheet = Sheet {
        name: String::new(),
        columns: vec![
            column("n", Kind::Number),
            column("p", Kind::Percent),
            column("i", Kind::Integer),
        ],
        rows: [
            vec![
                Cell::Number(f64::NAN),
                Cell::Percent(f64::INFINITY),
                Cell::Integer(i64::MIN),
            ],
            vec![
                Cell::Number(0.1),
                Cell::Percent(-0.5),
                Cell::Integer(i64::MAX),
            ],
        ],
    };
    assert_eq!(
        String::from_utf8(export(Format::Csv, sheet)).unwrap(),
        "n,p,i\r\n,,-9223372036854775808\r\n0.1,-0.5,9223372036854775807\r\n"
    );
}

#[test]
fn an_empty_table_has_a_header() {
    assert_eq!(export(Format::Csv, texts([])), b"text\r\n");
}
