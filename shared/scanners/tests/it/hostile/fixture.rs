//! The places in the folders' fixtures where an attack can be put, so that it gets past the first look.

use std::fs;
use std::ops::Range;
use std::path::Path;

use memchr::memchr_iter;
use tatami_scanners::{Report, Scanner, detect};

use super::input::Input;

/// How far to go: all of it in a release build, some of it where everything is ten times slower.
pub const THOROUGH: bool = !cfg!(debug_assertions);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    Json,
    Xml,
    Html,
    Csv,
    Zip,
}

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string, a number or a word of JSON, quotes and all; an object or a list.
    Value,
    /// Text between tags.
    Text,
    /// The value of an attribute, without its quotes.
    Attribute,
    /// A field of a table, quotes and all.
    Field,
}

#[derive(Debug, Clone)]
pub struct Place {
    pub kind: Kind,
    pub range: Range<usize>,
    /// The key before a value of JSON, quotes and all.
    pub key: Option<Range<usize>>,
}

pub struct Fixture {
    pub name: String,
    pub folder: String,
    pub shape: Shape,
    pub bytes: Vec<u8>,
    pub scanner: &'static Scanner,
    pub places: Vec<Place>,
}

impl Fixture {
    /// The report with something else at a place.
    pub fn with(&self, place: &Place, attack: Input) -> Input {
        Input::of(&self.bytes[..place.range.start])
            .and(attack)
            .then(&self.bytes[place.range.end..])
    }

    pub fn at(&self, place: &Place) -> &[u8] {
        &self.bytes[place.range.clone()]
    }

    /// Where it is, for people.
    pub fn name_of(&self, place: &Place) -> String {
        let before = &self.bytes[..place.range.start];
        let line = memchr_iter(b'\n', before).count() + 1;
        format!("in {} line {line}", self.name)
    }

    /// At most so many of its places, from all over the report; those with longer texts first.
    pub fn some_places(&self, most: usize) -> Vec<&Place> {
        let (mut long, short): (Vec<_>, Vec<_>) =
            self.places.iter().partition(|place| place.range.len() > 16);
        long.extend(short);
        let step = long.len().div_ceil(most).max(1);
        long.into_iter().step_by(step).collect()
    }
}

/// The fixtures of all folders; in a debug build one of each shape for each folder.
pub fn fixtures() -> Vec<Fixture> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/scanners");
    let mut fixtures = Vec::new();
    for folder in fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        let folder_name = folder.file_name().unwrap().to_string_lossy().into_owned();
        for file in fs::read_dir(folder.join("fixtures")).into_iter().flatten() {
            let file = file.unwrap().path();
            let bytes = fs::read(&file).unwrap();
            let Ok(scanner) = detect(&Report::from_bytes("report", &bytes)) else {
                continue;
            };
            let shape = shape(&bytes);
            fixtures.push(Fixture {
                name: format!("{folder_name}/{}", file.file_name().unwrap().display()),
                folder: folder_name.clone(),
                shape,
                places: match shape {
                    Shape::Json => json_places(&bytes),
                    Shape::Xml | Shape::Html => markup_places(&bytes),
                    Shape::Csv => csv_places(&bytes),
                    Shape::Zip => Vec::new(),
                },
                bytes,
                scanner,
            });
        }
    }
    fixtures.sort_by(|a, b| (&a.folder, a.shape, &a.name).cmp(&(&b.folder, b.shape, &b.name)));
    if !THOROUGH {
        fixtures.dedup_by(|b, a| a.folder == b.folder && a.shape == b.shape);
    }
    fixtures
}

pub fn shape(bytes: &[u8]) -> Shape {
    let text = bytes
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(bytes)
        .trim_ascii_start();
    let head = String::from_utf8_lossy(&text[..text.len().min(1000)]).to_lowercase();
    match text.first() {
        Some(b'P') if text.starts_with(b"PK") => Shape::Zip,
        Some(b'{' | b'[') => Shape::Json,
        Some(b'<') if head.contains("<html") => Shape::Html,
        Some(b'<') => Shape::Xml,
        _ => Shape::Csv,
    }
}

/// The end of the JSON string that begins at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += 1 + usize::from(bytes[at] == b'\\');
    }
    (at + 1).min(bytes.len())
}

fn json_places(bytes: &[u8]) -> Vec<Place> {
    let mut places = Vec::new();
    let mut open: Vec<(usize, Option<Range<usize>>)> = Vec::new();
    let mut key: Option<Range<usize>> = None;
    let mut at = 0;
    let kind = Kind::Value;
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            b'"' => {
                at = string_end(bytes, start);
                let next = bytes[at..].iter().find(|b| !b.is_ascii_whitespace());
                let range = start..at;
                if next == Some(&b':') {
                    key = Some(range);
                } else {
                    let key = key.take();
                    places.push(Place { kind, range, key });
                }
            }
            b'{' | b'[' => {
                open.push((start, key.take()));
                at += 1;
            }
            b'}' | b']' => {
                at += 1;
                if let Some((start, key)) = open.pop() {
                    let range = start..at;
                    places.push(Place { kind, range, key });
                }
            }
            b'-' | b'0'..=b'9' | b'a'..=b'z' => {
                let rest = &bytes[start..];
                let len = rest.iter().position(|b| b",]} \r\n\t".contains(b));
                at = start + len.unwrap_or(rest.len());
                let (range, key) = (start..at, key.take());
                places.push(Place { kind, range, key });
            }
            _ => at += 1,
        }
    }
    places
}

/// Where `end` is, from `at` on.
fn find(bytes: &[u8], at: usize, end: &[u8]) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let found = rest.windows(end.len()).position(|window| window == end);
    found.map_or(bytes.len(), |found| at + found)
}

fn markup_places(bytes: &[u8]) -> Vec<Place> {
    let mut places = Vec::new();
    let mut push = |kind, range: Range<usize>| {
        if !bytes[range.clone()].trim_ascii().is_empty() {
            let key = None;
            places.push(Place { kind, range, key });
        }
    };
    let mut at = find(bytes, 0, b"<");
    while at < bytes.len() {
        let rest = &bytes[at..];
        let end = if rest.starts_with(b"<!--") {
            find(bytes, at, b"-->") + 3
        } else if rest.starts_with(b"<![CDATA[") {
            let end = find(bytes, at, b"]]>");
            push(Kind::Text, at + 9..end);
            end + 3
        } else if rest.starts_with(b"<!") || rest.starts_with(b"<?") {
            find(bytes, at, b">") + 1
        } else {
            let mut inside = at;
            while inside < bytes.len() && bytes[inside] != b'>' {
                if matches!(bytes[inside], b'"' | b'\'') {
                    let close = find(bytes, inside + 1, &bytes[inside..=inside]);
                    push(Kind::Attribute, (inside + 1).min(close)..close);
                    inside = close;
                }
                inside += 1;
            }
            inside + 1
        };
        let end = end.min(bytes.len());
        at = find(bytes, end, b"<");
        push(Kind::Text, end..at);
    }
    places
}

fn csv_places(bytes: &[u8]) -> Vec<Place> {
    let first = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let delimiter = *b",;\t|"
        .iter()
        .max_by_key(|d| memchr_iter(**d, first).count())
        .unwrap_or(&b',');
    let mut places = Vec::new();
    let (mut start, mut quoted, mut row) = (0, false, 0);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b if !quoted && (*b == delimiter || *b == b'\n') => {
                if row > 0 && at > start {
                    let (kind, range, key) = (Kind::Field, start..at, None);
                    places.push(Place { kind, range, key });
                }
                row += usize::from(*b == b'\n');
                start = at + 1;
            }
            _ => {}
        }
    }
    places
}

#[test]
fn places_are_found() {
    let texts = |bytes: &[u8], places: Vec<Place>| -> Vec<String> {
        let text = |place: Place| String::from_utf8(bytes[place.range].to_vec()).unwrap();
        places.into_iter().map(text).collect()
    };
    let json = br#"{"a\"": "b\"c", "d": [1, true], "e": {}}"#;
    let places = json_places(json);
    assert_eq!(places[0].key, Some(1..6));
    let all = String::from_utf8(json.to_vec()).unwrap();
    assert_eq!(
        texts(json, places),
        ["\"b\\\"c\"", "1", "true", "[1, true]", "{}", &all]
    );
    let xml = b"<?xml?><!-- <x> --><a b='1>' c=\"2\">t<d/> <![CDATA[<e>]]></a>";
    assert_eq!(texts(xml, markup_places(xml)), ["1>", "2", "t", "<e>"]);
    let csv = b"a;b\n\"x;\ny\";2\n;z";
    assert_eq!(texts(csv, csv_places(csv)), ["\"x;\ny\"", "2"]);
}
