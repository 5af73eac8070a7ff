//! Exports that are larger than the memory they take.

use std::alloc::System;
use std::io::{self, Cursor, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use calamine::{Data, Xlsx, open_workbook_from_rs};
use peakmem_alloc::{INSTRUMENTED_SYSTEM, PeakMemAlloc, PeakMemAllocTrait as _};
use tatami_export::{Cell, Format, Kind, MAX_LINKS, Options, Sheet, write};

use crate::table::{column, text};

#[global_allocator]
static MEMORY: &PeakMemAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Memory is counted for the whole process: what takes much of it does so one at a time.
static ALONE: Mutex<()> = Mutex::new(());

pub fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const ROWS: i64 = 100_000;
/// Other tests take some of it.
const MEMORY_LIMIT: usize = 24 * 1024 * 1024;

/// What a link may take.
const LINK_MEMORY: usize = 2_000;

/// Counts what comes, and keeps nothing.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.fetch_add(bytes.len(), Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Findings with so long a description.
fn findings(sentences: usize) -> Sheet<impl Iterator<Item = Vec<Cell>>> {
    Sheet {
        name: "Findings".to_owned(),
        columns: vec![
            column("id", Kind::Integer),
            column("title", Kind::Text),
            column("score", Kind::Number),
            column("active", Kind::Bool),
            column("date", Kind::Date),
            column("description", Kind::Text),
        ],
        rows: (0..ROWS).map(move |id| {
            vec![
                Cell::Integer(id),
                text(&format!("Finding {id}")),
                Cell::Number(f64::from(u8::try_from(id % 100).unwrap()) / 10.0),
                Cell::Bool(id % 2 == 0),
                Cell::Date(jiff::civil::date(2026, 1, 1)),
                text(&format!("{id} is a finding. ").repeat(sentences)),
            ]
        }),
    }
}

#[test]
fn a_hundred_thousand_rows_take_little_memory() {
    let _alone = alone();
    for (format, sizes) in [
        (Format::Csv, 50_000_000..80_000_000),
        (Format::Json, 50_000_000..90_000_000),
        (Format::Xlsx, 2_000_000..20_000_000),
    ] {
        let out = Counter::default();
        MEMORY.reset_peak_memory();
        write(format, &Options::default(), out.clone(), [findings(30)]).unwrap();
        let taken = MEMORY.get_peak_memory();
        let size = out.0.load(Ordering::Relaxed);
        assert!(taken < MEMORY_LIMIT, "{format:?}: {taken} bytes of memory");
        assert!(
            sizes.contains(&size),
            "{format:?}: {size} bytes were written"
        );
    }
}

#[test]
fn a_hundred_thousand_rows_are_all_there() {
    let _alone = alone();
    let bytes = write(Format::Xlsx, &Options::default(), Vec::new(), [findings(1)]).unwrap();
    let mut workbook: Xlsx<_> = open_workbook_from_rs(Cursor::new(bytes.as_slice())).unwrap();
    // Cell by cell: all of them at once are much.
    let mut cells = workbook.worksheet_cells_reader("Findings").unwrap();
    let (mut count, mut titles) = (0, 0);
    while let Some(cell) = cells.next_cell().unwrap() {
        count += 1;
        let (row, col) = cell.get_position();
        if col == 1 && row > 0 {
            let expected = format!("Finding {}", row - 1);
            assert_eq!(Data::from(cell.get_value().clone()), Data::String(expected));
            titles += 1;
        }
    }
    assert_eq!((count, titles), ((ROWS + 1) * 6, ROWS));

    let bytes = write(Format::Csv, &Options::default(), Vec::new(), [findings(1)]).unwrap();
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let mut count = 0;
    for (id, record) in reader.records().enumerate() {
        assert_eq!(record.unwrap()[0], id.to_string());
        count += 1;
    }
    assert_eq!(count, ROWS);
}

#[test]
fn links_take_the_memory_that_their_limit_says() {
    let _alone = alone();
    let sheet = Sheet {
        name: "Links".to_owned(),
        columns: vec![column("link", Kind::Link)],
        rows: (0..ROWS).map(|id| {
            let path = "a/".repeat(20);
            vec![Cell::Link(format!(
                "https://tatami.example/{path}{id}#history"
            ))]
        }),
    };
    MEMORY.reset_peak_memory();
    write(
        Format::Xlsx,
        &Options::default(),
        Counter::default(),
        [sheet],
    )
    .unwrap();
    let each = MEMORY.get_peak_memory() / MAX_LINKS as usize;
    assert!((300..LINK_MEMORY).contains(&each), "{each} bytes a link");
}
