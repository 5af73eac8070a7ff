//! Reports that are made to do harm: every scanner refuses or survives each of them, without a panic and within
//! 256 MB. How long each took is printed:
//!
//! ```sh
//! cargo test --release -p tatami-scanners --test it -- --nocapture
//! ```
//!
//! A debug build tries fewer places and nothing huge. An overflow of the stack names the thread, which is called after the case.

mod archives;
mod attacks;
mod fixture;
mod input;
mod measure;

use std::collections::HashSet;
use std::fs;
use std::net::TcpListener;

use tatami_scanners::{Scanner, all};

use self::attacks::{
    DEEP, HUGE, LARGE, LONG, REPEATED, doctypes, huge, inside, odd_texts, odd_values, other_values,
    quoted, small,
};
use self::fixture::{Fixture, Kind, Shape, THOROUGH, fixtures};
use self::input::Input;
use self::measure::Trial;

/// A scanner of each set of formats: what isn't a scanner's own is read by what scanners share.
fn some_scanners() -> Vec<&'static Scanner> {
    let mut seen = HashSet::new();
    let formats = |scanner: &Scanner| scanner.formats.iter().map(|f| f.name).collect::<Vec<_>>();
    all()
        .filter(|scanner| seen.insert(formats(scanner)))
        .collect()
}

#[test]
fn reports_of_no_scanner_in_particular() {
    let mut trial = Trial::new("Reports of no scanner in particular");
    for (case, input) in small() {
        trial.run(case, "", None, &input);
        for scanner in all() {
            trial.run(case, "", Some(scanner), &input);
        }
    }
    trial.finish();
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes in a debug build")]
fn huge_reports_of_no_scanner_in_particular() {
    let mut trial = Trial::new("Huge reports of no scanner in particular");
    let scanners = some_scanners();
    for (case, input) in huge() {
        trial.run(case, "", None, &input);
        for scanner in &scanners {
            trial.run(case, "", Some(scanner), &input);
        }
    }
    trial.finish();
}

#[test]
fn odd_values_in_every_place() {
    let mut trial = Trial::new("Odd values in the places of a fixture");
    for fixture in fixtures() {
        for place in fixture.some_places(if THOROUGH { 40 } else { 6 }) {
            let mut run = |case: &str, attack: Input| {
                let input = fixture.with(place, attack);
                trial.run(case, &fixture.name_of(place), Some(fixture.scanner), &input);
            };
            if place.kind == Kind::Value {
                for (case, value) in odd_values() {
                    run(case, Input::of(value));
                }
                if let Some(key) = place.key.clone() {
                    let again = [b", ", &fixture.bytes[key], b": ", fixture.at(place)].concat();
                    run(
                        "JSON: a key twice",
                        Input::of(fixture.at(place)).then(&again),
                    );
                    let null = [b"null", &again[..]].concat();
                    run("JSON: a key twice, first null", Input::of(null));
                }
            } else {
                for (case, text) in odd_texts() {
                    run(case, quoted(place.kind, Input::of(text)));
                }
            }
        }
    }
    trial.finish();
}

#[test]
fn nesting_in_every_place() {
    let mut trial = Trial::new("Nesting in the places of a fixture");
    for fixture in fixtures() {
        for place in fixture.some_places(if THOROUGH { 12 } else { 3 }) {
            let mut run = |case: &str, attack: Input| {
                let input = fixture.with(place, attack);
                trial.run(case, &fixture.name_of(place), Some(fixture.scanner), &input);
            };
            let nested = |open, close| Input::default().times(open, DEEP).times(close, DEEP);
            match place.kind {
                Kind::Value => {
                    run("JSON: arrays", nested("[", "]"));
                    run(
                        "JSON: objects",
                        Input::default()
                            .times("{\"a\":", DEEP)
                            .then("1")
                            .times("}", DEEP),
                    );
                    run(
                        "JSON: 120 arrays",
                        Input::default().times("[", 120).times("]", 120),
                    );
                    run("JSON: text of arrays", quoted(place.kind, nested("[", "]")));
                }
                Kind::Text => {
                    run("XML: elements", nested("<a>", "</a>"));
                    run(
                        "XML: elements without end",
                        Input::default().times("<a>", DEEP),
                    );
                    run(
                        "XML: 150 elements",
                        Input::default().times("<a>", 150).times("</a>", 150),
                    );
                    run("text: tags as text", nested("&lt;b&gt;", "&lt;/b&gt;"));
                }
                Kind::Attribute | Kind::Field => {
                    run("text: brackets", quoted(place.kind, nested("[", "]")));
                }
            }
        }
    }
    trial.finish();
}

#[test]
fn repetition_takes_no_more_than_its_length() {
    let mut trial = Trial::new("Repetition in the places of a fixture");
    for (number, fixture) in fixtures().into_iter().enumerate() {
        for place in fixture.some_places(if THOROUGH { 5 } else { 1 }) {
            let (first, step) = if THOROUGH { (0, 1) } else { (number % 4, 4) };
            for piece in REPEATED.into_iter().skip(first).step_by(step) {
                // Markup has to stand as text, whatever the format.
                let text = match (fixture.shape, place.kind) {
                    (_, Kind::Value) => piece.replace('\n', "\\n"),
                    (Shape::Xml, _) => piece.replace('&', "&amp;").replace('<', "&lt;"),
                    _ => piece.to_owned(),
                };
                let attack = quoted(place.kind, Input::default().fill(text, LONG));
                let input = fixture.with(place, attack);
                let case = format!("of {piece:?}");
                trial.run(
                    &case,
                    &fixture.name_of(place),
                    Some(fixture.scanner),
                    &input,
                );
            }
        }
    }
    trial.finish();
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes in a debug build")]
fn huge_values_in_some_places() {
    let mut trial = Trial::new("Huge values in the places of a fixture");
    for (number, fixture) in fixtures().into_iter().enumerate() {
        let places = fixture.some_places(4);
        let Some(place) = places.get(number % places.len().max(1)) else {
            continue;
        };
        let mut run = |case: &str, attack: Input| {
            let input = fixture.with(place, attack);
            trial.run(case, &fixture.name_of(place), Some(fixture.scanner), &input);
        };
        // Letters of base64, so that bodies are decoded.
        for (case, size) in [("a text of 200 MB", HUGE), ("a text of 60 MB", LARGE)] {
            run(
                case,
                quoted(place.kind, Input::default().fill("QUFB", size)),
            );
        }
        // The others take turns.
        if number % 3 == 0 {
            let others = other_values(place.kind);
            let (case, attack) = &others[number / 3 % others.len()];
            run(case, attack.clone());
        }
    }
    trial.finish();
}

const SECRET: &str = "hostile-secret-9b1f";

#[test]
fn nothing_is_read_that_a_report_points_at() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), SECRET).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let path = folder.path().to_str().unwrap();

    let mut trial = Trial::new("Document types").secret(SECRET);
    for (case, doctype, used) in doctypes(path, port) {
        let plain = Input::of(format!("<?xml version=\"1.0\"?>{doctype}<r>{used}</r>"));
        trial.run(case, "", None, &plain);
        for scanner in all() {
            trial.run(case, "", Some(scanner), &plain);
        }
        for fixture in fixtures()
            .iter()
            .filter(|f| matches!(f.shape, Shape::Xml | Shape::Html))
        {
            with_doctype(fixture, case, &doctype, &used, &mut trial);
        }
    }
    assert!(listener.accept().is_err(), "somebody asked the server");
    trial.finish();
}

/// The document type comes before the first tag, the entity into places of its text.
fn with_doctype(fixture: &Fixture, case: &str, doctype: &str, used: &str, trial: &mut Trial) {
    let is_tag = |window: &[u8]| window[0] == b'<' && window[1].is_ascii_alphabetic();
    let root = fixture.bytes.windows(2).position(is_tag).unwrap();
    let texts: Vec<_> = fixture
        .places
        .iter()
        .filter(|p| p.kind == Kind::Text && p.range.start > root)
        .collect();
    let step = texts.len().div_ceil(if THOROUGH { 8 } else { 2 }).max(1);
    for place in texts.into_iter().step_by(step) {
        let input = Input::of(&fixture.bytes[..root])
            .then(doctype)
            .then(&fixture.bytes[root..place.range.start])
            .then(used)
            .then(&fixture.bytes[place.range.end..]);
        trial.run(case, &fixture.name_of(place), Some(fixture.scanner), &input);
    }
}

#[test]
fn archives_that_are_attacks() {
    let mut trial = Trial::new("Archives");
    let members = ["audit.fvdl", "report.xml", "report.json"];
    let plain: Vec<_> = members
        .map(|name| (name.to_owned(), b"<a/>".to_vec()))
        .into();
    for (case, bytes) in archives::attacks(&plain) {
        let input = padded(case, &bytes);
        trial.run(case, "", None, &input);
        for scanner in some_scanners() {
            trial.run(case, "", Some(scanner), &input);
        }
    }
    for fixture in fixtures().iter().filter(|f| f.shape == Shape::Zip) {
        let place = format!("in {}", fixture.name);
        let members = archives::members(&fixture.bytes);
        for (case, bytes) in archives::attacks(&members) {
            let input = padded(case, &bytes);
            let made = trial.run(case, &place, Some(fixture.scanner), &input);
            if archives::is_refused(case) && made.refusal.is_none() {
                trial.fail(format!("{case} {place}: is not refused"));
            }
            if case == archives::HONEST && made.findings == 0 {
                trial.fail(format!("{case} {place}: nothing was found"));
            }
        }
        for (at, (name, content)) in members.iter().enumerate() {
            for (case, content) in inside(content) {
                let mut members = members.clone();
                members[at].1 = content;
                let members = members
                    .iter()
                    .map(|(name, content)| archives::Member::stored(name, content));
                let bytes = archives::zip(&members.collect::<Vec<_>>(), b"");
                let case = format!("in a member: {case}");
                let place = format!("{place}, {name}");
                trial.run(&case, &place, Some(fixture.scanner), &Input::of(bytes));
            }
        }
    }
    trial.finish();
}

fn padded(case: &str, bytes: &[u8]) -> Input {
    let input = Input::of(bytes);
    if case.contains("200 MB") {
        input.fill("PK\x03\x04", HUGE)
    } else {
        input
    }
}
