use std::io::{Cursor, Read as _};

use calamine::{Data, DataType as _, Range, Reader as _, Xlsx, open_workbook_from_rs};
use tatami_export::{Cell, Format, Kind, MAX_LINKS, MAX_TEXT, Options, Sheet, Writer, write};
use zip::ZipArchive;

use crate::table::{HARMLESS, INJECTIONS, column, export, text, texts, typed};

fn open(bytes: &[u8]) -> Xlsx<Cursor<&[u8]>> {
    open_workbook_from_rs(Cursor::new(bytes)).unwrap()
}

/// The cells of the first worksheet, the header too.
fn read(bytes: &[u8]) -> Range<Data> {
    open(bytes).worksheet_range_at(0).unwrap().unwrap()
}

/// The first cell of each row below the header.
fn first_column(bytes: &[u8]) -> Vec<String> {
    read(bytes)
        .rows()
        .skip(1)
        .map(|row| match &row[0] {
            Data::String(text) => text.clone(),
            other => panic!("{other:?} is not a text"),
        })
        .collect()
}

/// A file of the workbook as it is.
fn part(bytes: &[u8], name: &str) -> String {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut xml = String::new();
    archive
        .by_name(name)
        .unwrap()
        .read_to_string(&mut xml)
        .unwrap();
    xml
}

fn first_sheet(bytes: &[u8]) -> String {
    part(bytes, "xl/worksheets/sheet1.xml")
}

fn column_of(kind: Kind, cells: impl IntoIterator<Item = Cell>) -> Vec<u8> {
    let sheet = Sheet {
        name: "t".to_owned(),
        columns: vec![column("a", kind)],
        rows: cells.into_iter().map(|cell| vec![cell]),
    };
    export(Format::Xlsx, sheet)
}

#[test]
fn cells_are_typed() {
    let bytes = export(Format::Xlsx, typed());
    let cells = read(&bytes);
    let header: Vec<_> = cells
        .rows()
        .next()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        header,
        [
            "text", "integer", "number", "percent", "bool", "date", "moment", "link"
        ]
    );
    let row = cells.rows().nth(1).unwrap();
    assert_eq!(row[0], Data::String("007".to_owned()));
    assert_eq!(row[1], Data::Float(-42.0));
    assert_eq!(row[2], Data::Float(-1.25));
    assert_eq!(row[3], Data::Float(0.375));
    assert_eq!(row[4], Data::Bool(true));
    // Days since 1899-12-30, as spreadsheets count.
    for (cell, serial) in [(&row[5], 46_081.0), (&row[6], 46_356.685_046_296_3)] {
        let Data::DateTime(moment) = cell else {
            panic!("{cell:?} is not a date");
        };
        assert!(moment.is_datetime());
        assert!((moment.as_f64() - serial).abs() < 1e-9, "{moment:?}");
    }
    assert_eq!(
        row[7],
        Data::String("https://tatami.example/finding/7?a=1&b=2".to_owned())
    );
    // The empty row has no cells at all.
    assert_eq!(cells.height(), 2);
    let styles = part(&bytes, "xl/styles.xml");
    for format in ["yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss", "0.0%"] {
        assert!(
            styles.contains(&format!("formatCode=\"{format}\"")),
            "{styles}"
        );
    }
}

#[test]
fn the_header_is_bold_and_frozen_and_filters_the_table() {
    let bytes = export(Format::Xlsx, typed());
    let sheet = first_sheet(&bytes);
    assert!(
        sheet.contains(
            "<pane ySplit=\"1\" topLeftCell=\"A2\" activePane=\"bottomLeft\" state=\"frozen\"/>"
        ),
        "{sheet}"
    );
    assert!(sheet.contains("<autoFilter ref=\"A1:H3\"/>"), "{sheet}");
    let styles = part(&bytes, "xl/styles.xml");
    let bold = styles
        .split("<font>")
        .position(|font| font.contains("<b/>"))
        .unwrap()
        - 1;
    let formats = styles.split("<cellXfs").nth(1).unwrap();
    let style = formats
        .split("<xf ")
        .skip(1)
        .position(|xf| xf.contains(&format!("fontId=\"{bold}\"")))
        .unwrap();
    assert!(
        sheet.contains(&format!("<c r=\"H1\" s=\"{style}\" t=\"inlineStr\">")),
        "{sheet}"
    );
}

#[test]
fn columns_are_as_wide_as_their_texts_within_bounds() {
    let sheet = Sheet {
        name: "t".to_owned(),
        columns: vec![
            column("a", Kind::Text),
            column("b", Kind::Text),
            column("c", Kind::Integer),
        ],
        rows: [vec![
            text(&"w".repeat(30)),
            text(&"w".repeat(500)),
            Cell::Empty,
        ]],
    };
    let xml = first_sheet(&export(Format::Xlsx, sheet));
    let widths: Vec<f64> = xml
        .split("width=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
        .collect();
    // Excel adds its padding of less than a character.
    let expected = [31.0, 60.0, 8.0];
    assert_eq!(widths.len(), 3, "{xml}");
    for (width, expected) in widths.iter().zip(expected) {
        assert!((expected..expected + 1.0).contains(width), "{widths:?}");
    }
}

#[test]
fn texts_are_never_formulas_or_links() {
    let all = INJECTIONS.into_iter().chain([
        "http://evil.example/",
        "mailto:a@b.example",
        "file:///etc/passwd",
    ]);
    let bytes = export(Format::Xlsx, texts(all.clone()));
    let expected: Vec<_> = all
        .map(|t| t.replace('\r', "\n").replace('\0', ""))
        .collect();
    assert_eq!(first_column(&bytes), expected);
    let sheet = first_sheet(&bytes);
    assert!(
        !sheet.contains("<f>") && !sheet.contains("<hyperlink"),
        "{sheet}"
    );
    assert_eq!(sheet.matches("t=\"inlineStr\"").count(), expected.len() + 1);
    // Also when somebody edits such a cell.
    let styles = part(&bytes, "xl/styles.xml");
    let formats = styles.split("<cellXfs").nth(1).unwrap();
    let quoted = formats
        .split("<xf ")
        .skip(1)
        .position(|xf| xf.contains("quotePrefix=\"1\""))
        .unwrap();
    assert_eq!(
        sheet
            .matches(&format!(" s=\"{quoted}\" t=\"inlineStr\""))
            .count(),
        INJECTIONS.len()
    );
}

#[test]
fn harmless_texts_come_back_as_they_were() {
    let long = "é<&>👍".repeat(2_000);
    let all: Vec<_> = HARMLESS.into_iter().chain([long.as_str()]).collect();
    let bytes = export(Format::Xlsx, texts(all.iter().copied()));
    let expected: Vec<_> = all.iter().map(|t| t.replace("\r\n", "\n")).collect();
    // Excel writes what looks like one of its escapes with an escaped underscore, which calamine leaves.
    let found: Vec<_> = first_column(&bytes)
        .iter()
        .map(|t| t.replace("_x005F_", "_"))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn control_characters_are_left_out() {
    let all: String = (0..0x20).filter_map(char::from_u32).collect();
    let noise = format!("a{all}b\u{fffe}c\u{ffff}d");
    let bytes = export(Format::Xlsx, texts([noise.as_str()]));
    assert_eq!(first_column(&bytes), ["a\t\n\nbcd"]);
    assert!(!first_sheet(&bytes).contains("_x0"));
}

#[test]
fn texts_are_cut_where_a_cell_ends_and_say_so() {
    let full = "👍".repeat(MAX_TEXT / 2) + "x";
    let over = full.clone() + "x";
    let found = first_column(&export(Format::Xlsx, texts([full.as_str(), over.as_str()])));
    assert_eq!(found[0], full);
    assert!(found[1].ends_with("👍… [cut: a cell of Excel holds 32,767 characters]"));
    let length = found[1].encode_utf16().count();
    // An emoji takes two, and half of one isn't written.
    assert!((MAX_TEXT - 1..=MAX_TEXT).contains(&length), "{length}");
}

#[test]
fn only_web_addresses_are_links() {
    let others = [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "internal:Sheet1!A1",
        "mailto:a@b.example",
        "ftp://a.example",
        "http://",
        "http://[::1]/",
        "https://a.example/ b",
        "https://a.example\\b",
        "=HYPERLINK(\"http://a.example\")",
        "xhttps://a.example",
        "",
    ];
    let long = format!("https://a.example/{}", "x".repeat(3_000));
    let links = ["https://a.example/?q=\"<é>\"#part", "HTTP://A.EXAMPLE"];
    let all: Vec<_> = others
        .into_iter()
        .chain([long.as_str()])
        .chain(links)
        .collect();
    let cells = all.iter().map(|address| Cell::Link((*address).to_owned()));
    let bytes = column_of(Kind::Link, cells);
    let rels = part(&bytes, "xl/worksheets/_rels/sheet1.xml.rels");
    let targets: Vec<_> = rels
        .split("Target=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(
        targets,
        ["https://a.example/?q=%22%3cé%3e%22", "HTTP://A.EXAMPLE"]
    );
    let sheet = first_sheet(&bytes);
    assert_eq!(sheet.matches("<hyperlink ").count(), 2, "{sheet}");
    assert!(sheet.contains("location=\"part\""), "{sheet}");
    // All are there to be read.
    let found: Vec<_> = read(&bytes)
        .rows()
        .skip(1)
        .map(|row| row[0].to_string())
        .collect();
    assert_eq!(found, all);
}

#[test]
fn links_beyond_what_a_worksheet_has_are_texts() {
    let count = MAX_LINKS as usize + 2;
    let cells = (0..count).map(|n| Cell::Link(format!("https://a.example/{n}")));
    let _alone = crate::big::alone();
    let bytes = column_of(Kind::Link, cells);
    let sheet = first_sheet(&bytes);
    assert_eq!(sheet.matches("<hyperlink ").count(), MAX_LINKS as usize);
    assert_eq!(sheet.matches("<t>https://a.example/").count(), count);
}

#[test]
fn numbers_that_excel_does_not_have_are_texts_or_empty() {
    let numbers = [999_999_999_999_999, 1_000_000_000_000_000, i64::MIN];
    let cells = read(&column_of(Kind::Integer, numbers.map(Cell::Integer)));
    assert_eq!(cells.get((1, 0)), Some(&Data::Float(999_999_999_999_999.0)));
    assert_eq!(
        cells.get((2, 0)),
        Some(&Data::String("1000000000000000".to_owned()))
    );
    assert_eq!(
        cells.get((3, 0)),
        Some(&Data::String("-9223372036854775808".to_owned()))
    );
    let numbers = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.0];
    let cells = read(&column_of(Kind::Number, numbers.map(Cell::Number)));
    let found: Vec<_> = cells.rows().skip(1).map(|row| row[0].clone()).collect();
    assert_eq!(
        found,
        [Data::Empty, Data::Empty, Data::Empty, Data::Float(1.0)]
    );
}

#[test]
fn days_before_and_after_excels_calendar_are_texts() {
    let days = ["1899-12-31", "1900-01-01", "1900-03-01", "9999-12-31"];
    let cells = read(&column_of(
        Kind::Date,
        days.map(|day| Cell::Date(day.parse().unwrap())),
    ));
    assert_eq!(
        cells.get((1, 0)),
        Some(&Data::String("1899-12-31".to_owned()))
    );
    let serial = |cells: &Range<Data>, row| {
        cells
            .get((row, 0))
            .unwrap()
            .get_datetime()
            .unwrap()
            .as_f64()
    };
    let found = [2, 3, 4].map(|row| serial(&cells, row).to_string());
    assert_eq!(found, ["1", "61", "2958465"]);
    let moments = ["-000001-01-01T00:00:00Z", "1999-12-31T23:59:59.999+00:00"];
    let cells = read(&column_of(
        Kind::DateTime,
        moments.map(|moment| Cell::DateTime(moment.parse().unwrap())),
    ));
    assert_eq!(
        cells.get((1, 0)),
        Some(&Data::String("-000001-01-01T00:00:00Z".to_owned()))
    );
    assert_eq!(serial(&cells, 2).floor().to_string(), "36525");
}

#[test]
fn names_of_worksheets_are_made_legal_and_unique() {
    let names = [
        "Findings",
        "findings",
        "FINDINGS",
        "",
        "''",
        "a[b]c:d*e?f/g\\h",
        "'quoted'",
        "History",
        "1234567890123456789012345678901234567890",
        "1234567890123456789012345678901234567890",
        "👍👍👍👍👍👍👍👍👍👍👍👍👍👍👍👍👍",
        "123456789012345678901234567890'x",
        "a\u{0}\u{7}b\r\n",
    ];
    let sheets = names.map(|name| Sheet {
        name: name.to_owned(),
        columns: vec![column(name, Kind::Text)],
        rows: [vec![text(name)]],
    });
    let bytes = write(Format::Xlsx, &Options::default(), Vec::new(), sheets).unwrap();
    let mut workbook = open(&bytes);
    let found = workbook.sheet_names();
    assert_eq!(
        found,
        [
            "Findings",
            "findings (2)",
            "FINDINGS (3)",
            "Sheet",
            "Sheet (2)",
            "a_b_c_d_e_f_g_h",
            "quoted",
            "History_",
            "1234567890123456789012345678901",
            "123456789012345678901234567 (2)",
            "👍👍👍👍👍👍👍👍👍👍👍👍👍👍👍",
            "123456789012345678901234567890",
            "ab",
        ]
    );
    // Each has its own rows.
    let range = workbook.worksheet_range("FINDINGS (3)").unwrap();
    assert_eq!(
        range.get((1, 0)),
        Some(&Data::String("FINDINGS".to_owned()))
    );
}

#[test]
fn an_empty_table_has_a_header_and_a_workbook_without_tables_opens() {
    let bytes = export(Format::Xlsx, texts([]));
    let cells = read(&bytes);
    assert_eq!(cells.get((0, 0)), Some(&Data::String("text".to_owned())));
    assert_eq!(cells.height(), 1);
    assert!(first_sheet(&bytes).contains("<autoFilter ref=\"A1\"/>"));
    let writer = Writer::new(Format::Xlsx, &Options::default(), Vec::new()).unwrap();
    assert_eq!(open(&writer.finish().unwrap()).sheet_names().len(), 1);
}

#[test]
fn a_writer_may_wait_between_rows_on_another_thread() {
    let mut writer = Writer::new(Format::Xlsx, &Options::default(), Vec::new()).unwrap();
    writer.begin("t", vec![column("a", Kind::Text)]).unwrap();
    let bytes = std::thread::spawn(move || {
        writer.row(&[text("b")]).unwrap();
        writer.finish().unwrap()
    })
    .join()
    .unwrap();
    assert_eq!(first_column(&bytes), ["b"]);
}
