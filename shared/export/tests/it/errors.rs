use std::io::{self, Write};
use std::path::PathBuf;

use tatami_export::{Cell, Error, Format, Kind, MAX_ROWS, Options, Sheet, Writer, write};

use crate::table::{column, text, texts};

const ALL: [Format; 3] = [Format::Csv, Format::Xlsx, Format::Json];

fn writer(format: Format) -> Writer<Vec<u8>> {
    Writer::new(format, &Options::default(), Vec::new()).unwrap()
}

#[test]
fn formats_are_known_by_their_names() {
    for format in ALL {
        assert_eq!(Format::parse(format.extension()).unwrap(), format);
        assert!(format.media_type().contains('/'));
    }
    assert_eq!(Format::parse(" Excel ").unwrap(), Format::Xlsx);
    assert_eq!(
        Format::parse("xls").unwrap_err().to_string(),
        "there is no export format \"xls\": use csv, xlsx or json"
    );
}

#[test]
fn a_cell_of_another_kind_says_where_it_is() {
    for format in ALL {
        let mut writer = writer(format);
        let columns = vec![column("name", Kind::Text), column("age", Kind::Integer)];
        writer.begin("People", columns).unwrap();
        writer.row(&[text("a"), Cell::Empty]).unwrap();
        assert_eq!(
            writer
                .row(&[text("b"), Cell::Number(1.0)])
                .unwrap_err()
                .to_string(),
            "row 2 of \"People\": \"age\" is a column of Integer cells and this is Number"
        );
        assert_eq!(
            writer.row(&[text("b")]).unwrap_err().to_string(),
            "row 3 of \"People\" has 1 cells instead of 2: fill gaps with empty ones"
        );
    }
}

#[test]
fn columns_are_there_and_differ() {
    for format in ALL {
        let mut writer = writer(format);
        assert!(matches!(writer.row(&[]), Err(Error::NoTable)));
        assert!(
            matches!(writer.begin("t", Vec::new()), Err(Error::NoColumns { sheet }) if sheet == "t")
        );
        let columns = vec![
            column("a", Kind::Text),
            column("b", Kind::Text),
            column("a", Kind::Bool),
        ];
        assert!(matches!(
            writer.begin("t", columns),
            Err(Error::DuplicateColumn { sheet, column }) if sheet == "t" && column == "a"
        ));
    }
}

#[test]
fn csv_and_json_hold_one_table() {
    for format in [Format::Csv, Format::Json] {
        let two = [texts(["a"]), texts(["b"])];
        let error = write(format, &Options::default(), Vec::new(), two).unwrap_err();
        let expected = format!(
            "a {} file holds one table: export each on its own, or all as xlsx",
            format.extension()
        );
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn more_rows_than_a_worksheet_has_are_refused() {
    let mut writer = writer(Format::Xlsx);
    writer.begin("Many", vec![column("a", Kind::Text)]).unwrap();
    for _ in 0..MAX_ROWS - 1 {
        writer.row(&[Cell::Empty]).unwrap();
    }
    writer.row(&[text("the last")]).unwrap();
    assert_eq!(
        writer.row(&[Cell::Empty]).unwrap_err().to_string(),
        "\"Many\" has more than the 1048575 rows that a worksheet holds: filter it, or export csv or json"
    );
}

#[test]
fn a_folder_for_temporary_files_that_is_not_there_is_named() {
    let options = Options {
        temp_dir: Some(PathBuf::from("/nowhere/at/all")),
        ..Options::default()
    };
    let error = write(Format::Xlsx, &options, Vec::new(), [texts(["a"])]).unwrap_err();
    assert!(matches!(
        &error,
        Error::Temporary {
            source: Some(_),
            ..
        }
    ));
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    // The others have no such files.
    assert!(write(Format::Csv, &options, Vec::new(), [texts(["a"])]).is_ok());
}

/// Takes some bytes and no more.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 {
            return Err(io::Error::other("the connection is closed"));
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_cannot_be_written_is_an_error() {
    for format in ALL {
        for room in [0, 2, 700] {
            let rows = (0..1_000).map(|n| vec![text(&format!("{n} texts"))]);
            let sheet = Sheet {
                name: "t".to_owned(),
                columns: vec![column("a", Kind::Text)],
                rows,
            };
            let result = write(format, &Options::default(), Full(room), [sheet]);
            match result.map(|_| ()) {
                Err(Error::Write(error)) => {
                    assert!(error.to_string().contains("closed"), "{error}");
                }
                other => panic!("{format:?} with room for {room} bytes: {other:?}"),
            }
        }
    }
}
