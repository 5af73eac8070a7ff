//! Reports that are made to do harm: every scanner refuses or survives each of them, without a panic and within
//! 256 MB. How long each took is printed:
//!
//! ```sh
//! cargo test --release -p tatami-scanners --test it -- --nocapture
//! ```
//!
//! A debug build tries fewer places and nothing huge. An overflow of the stack names the thread, which is called after the case.

mod archives;
mod fixture;
mod input;
mod measure;

use std::collections::HashMap;
use std::fs;
use std::net::TcpListener;

use tatami_scanners::{Scanner, all};

use self::fixture::{Fixture, Kind, Shape, THOROUGH, fixtures};
use self::input::Input;
use self::measure::Trial;

const MB: usize = 1_000_000;
/// More than any limit.
const HUGE: usize = 200 * MB;
/// Just what a single record may have.
const LARGE: usize = 60 * MB;
const DEEP: usize = 100_000;
/// Long enough to tell linear from quadratic.
const LONG: usize = 300_000;

/// Reports of no scanner in particular.
fn small() -> Vec<(&'static str, Input)> {
    let of = |bytes: &[u8]| Input::of(bytes);
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    vec![
        ("nothing", of(b"")),
        ("one NUL", of(b"\0")),
        (
            "half of a UTF-16 unit",
            of(&[&[0xff, 0xfe], &wide("{\"a\": 1}")[..], b"x"].concat()),
        ),
        (
            "half of a UTF-16 pair",
            of(b"\xff\xfe{\0\"\0\x3d\xd8\"\0:\0\x3d\xd8"),
        ),
        ("mark of UTF-32", of(b"\xff\xfe\0\0{\0\0\0}\0\0\0")),
        ("JSON: arrays, deep", Input::default().times("[", DEEP)),
        (
            "JSON: objects, deep",
            Input::default().times("{\"a\":", DEEP),
        ),
        (
            "JSON: arrays, deep and closed",
            Input::default().times("[", DEEP).times("]", DEEP),
        ),
        (
            "JSON: skipped, deep",
            of(b"{\"a\":").times("[", DEEP).times("]", DEEP).then("}"),
        ),
        ("XML: elements, deep", Input::default().times("<a>", DEEP)),
        (
            "XML: attributes, many",
            of(b"<a ").times("a=\"1\" ", DEEP).then("/>"),
        ),
        (
            "XML: namespaces, many",
            of(b"<a ").times("xmlns:b=\"1\" ", DEEP).then("/>"),
        ),
        ("HTML: tags, deep", of(b"<html>").times("<div>", DEEP)),
        (
            "HTML: attributes, many",
            of(b"<html><a ").times("a=1 ", DEEP).then(">"),
        ),
    ]
}

/// The same, large.
fn huge() -> Vec<(&'static str, Input)> {
    let of = |bytes: &[u8]| Input::of(bytes);
    vec![
        ("NULs", Input::default().fill("\0", HUGE)),
        ("white space", Input::default().fill(" ", HUGE)),
        ("line ends", Input::default().fill("\r\n", HUGE)),
        (
            "invalid UTF-8",
            Input::default().fill(b"\xff\xfe\xc0\xaf", 10 * MB),
        ),
        (
            "UTF-16 of surrogates",
            of(b"\xff\xfe").fill(b"\x00\xd8", 10 * MB),
        ),
        ("only marks", Input::default().fill("\u{feff}", MB)),
        (
            "JSON: a huge string",
            of(b"{\"a\":\"").fill("x", HUGE).then("\"}"),
        ),
        (
            "JSON: a huge string at the top",
            of(b"\"").fill("x", HUGE).then("\""),
        ),
        ("JSON: a huge key", of(b"{\"").fill("x", HUGE).then("\":1}")),
        (
            "JSON: a huge number",
            of(b"{\"a\":").fill("1", HUGE).then("}"),
        ),
        (
            "JSON: huge white space",
            of(b"{\"a\":").fill(" ", HUGE).then("1}"),
        ),
        (
            "JSON: escapes",
            of(b"{\"a\":\"").fill("\\u0041", HUGE).then("\"}"),
        ),
        (
            "JSON: many keys",
            of(b"{").fill("\"a\":1,", HUGE).then("\"a\":1}"),
        ),
        ("JSON: many values", of(b"[").fill("1,", HUGE).then("1]")),
        ("JSON: many objects", of(b"[").fill("{},", HUGE).then("{}]")),
        ("JSON: many lists", of(b"[").fill("[],", HUGE).then("[]]")),
        ("JSON: many documents", Input::default().fill("{}\n", HUGE)),
        ("JSON: commas", of(b"[").fill(",", MB)),
        ("XML: a huge text", of(b"<a>").fill("x", HUGE).then("</a>")),
        (
            "XML: a huge attribute",
            of(b"<a b=\"").fill("x", HUGE).then("\"/>"),
        ),
        ("XML: a huge name", of(b"<").fill("x", HUGE).then("/>")),
        (
            "XML: a huge comment",
            of(b"<!--").fill("x", HUGE).then("--><a/>"),
        ),
        (
            "XML: a huge instruction",
            of(b"<?").fill("x", HUGE).then("?><a/>"),
        ),
        (
            "XML: a huge CDATA",
            of(b"<a><![CDATA[").fill("x", HUGE).then("]]></a>"),
        ),
        (
            "XML: a huge document type",
            of(b"<!DOCTYPE a [").fill("x", HUGE).then("]><a/>"),
        ),
        (
            "XML: many elements",
            of(b"<a>").fill("<b/>", 50 * MB).then("</a>"),
        ),
        ("XML: only <", Input::default().fill("<", MB)),
        ("XML: only &", of(b"<a>").fill("&", MB).then("</a>")),
        (
            "HTML: a huge text",
            of(b"<html><body>").fill("x", HUGE).then("</body></html>"),
        ),
        (
            "HTML: a huge attribute",
            of(b"<html><a b=\"").fill("x", HUGE).then("\">"),
        ),
        (
            "HTML: a script without end",
            of(b"<html><script>").fill("x<", 50 * MB),
        ),
        (
            "HTML: a comment without end",
            of(b"<html><!--").fill("-", HUGE),
        ),
        (
            "CSV: a huge field",
            of(b"a,b\n\"").fill("x", HUGE).then("\",1\n"),
        ),
        (
            "CSV: a huge first field",
            of(b"\"").fill("x", HUGE).then("\",1\n"),
        ),
        (
            "CSV: a quote without end",
            of(b"a,b\n1,\"").fill("x,\n", HUGE),
        ),
        (
            "CSV: columns, many",
            Input::default().fill(",", HUGE).then("\n1\n"),
        ),
        (
            "CSV: a row of many fields",
            of(b"a,b\n").fill(",", HUGE).then("\n1,2\n"),
        ),
        ("CSV: many empty rows", of(b"a,b\n").fill(",\n", HUGE)),
        ("CSV: many short rows", of(b"a,b\n").fill("1\n", 20 * MB)),
    ]
}

/// What is put in the place of a value of JSON, small enough to be tried everywhere.
fn odd_values() -> Vec<(&'static str, Vec<u8>)> {
    let of = |text: &str| text.as_bytes().to_vec();
    vec![
        ("JSON: half of a pair", of("\"\\ud800\"")),
        ("JSON: the wrong half first", of("\"\\udc00\\ud83d x\"")),
        ("JSON: half of an escape", of("\"\\ud83d\\u12\"")),
        ("JSON: NUL escaped", of("\"a\\u0000b\"")),
        ("JSON: NUL", of("\"a\0b\"")),
        ("JSON: invalid UTF-8", b"\"a\xff\xfe\xc0\xafb\"".to_vec()),
        ("JSON: 1e999", of("1e999")),
        ("JSON: -1e999", of("-1e999")),
        ("JSON: 1e-999", of("1e-999")),
        ("JSON: '1e999'", of("\"1e999\"")),
        ("JSON: NaN", of("\"NaN\"")),
        ("JSON: -1", of("-1")),
        ("JSON: 400 digits", of(&"9".repeat(400))),
        (
            "JSON: '400 digits'",
            of(&format!("\"{}\"", "9".repeat(400))),
        ),
        ("JSON: 2^63", of("9223372036854775808")),
        ("JSON: null", of("null")),
        ("JSON: true", of("true")),
        ("JSON: empty text", of("\"\"")),
        ("JSON: empty list", of("[]")),
        ("JSON: empty object", of("{}")),
        ("JSON: list of lists", of("[[[1]],[[]],null]")),
        ("JSON: list of a text", of("[\"x\"]")),
        ("JSON: a letter of four bytes", of("\"\u{1f512}\"")),
        (
            "JSON: combining letters",
            of("\"e\u{301}\u{202e}\u{0}\u{7f}\u{fffd}\""),
        ),
        ("JSON: nothing", of("")),
    ]
}

fn odd_texts() -> Vec<(&'static str, Vec<u8>)> {
    let of = |text: &str| text.as_bytes().to_vec();
    vec![
        ("text: NUL", of("a\0b")),
        ("text: invalid UTF-8", b"a\xff\xfe\xc0\xafb".to_vec()),
        ("text: nothing", of("")),
        ("text: white space", of(" \t\r\n ")),
        ("text: 1e999", of("1e999")),
        ("text: NaN", of("NaN")),
        ("text: -1", of("-1")),
        ("text: 400 digits", of(&"9".repeat(400))),
        ("text: a letter of four bytes", of("\u{1f512}")),
        (
            "text: combining letters",
            of("e\u{301}\u{202e}\u{7f}\u{fffd}"),
        ),
        ("text: NUL as a reference", of("&#0;")),
        ("text: half of a pair as a reference", of("&#xD83D;")),
        (
            "text: a reference beyond all",
            of("&#x110000;&#99999999999999;"),
        ),
        ("text: an unknown entity", of("&nope;")),
        ("text: an entity without end", of("a & b &#x &")),
        ("text: a tag without end", of("a <b")),
        ("text: the end of CDATA", of("a ]]> b")),
    ]
}

/// What may take more than its length, if it is looked for a mark in it again and again.
const REPEATED: [&str; 22] = [
    "<",
    "&",
    "<b ",
    "</",
    "&#",
    "CVE-",
    "GHSA-",
    "cwe",
    "cwe-1 ",
    "http://",
    "://",
    "a:b@",
    "/",
    "-",
    "*",
    "[",
    " ",
    "\n",
    "%",
    "a-b",
    "{",
    "CVE-2024-0001 ",
];

fn quoted(kind: Kind, text: Input) -> Input {
    match kind {
        Kind::Value | Kind::Field => Input::of("\"").and(text).then("\""),
        Kind::Text | Kind::Attribute => text,
    }
}

/// Two scanners of each set of formats: what isn't a scanner's own is read by what scanners share.
fn some_scanners() -> Vec<&'static Scanner> {
    let mut seen = HashMap::new();
    let formats = |scanner: &Scanner| scanner.formats.iter().map(|f| f.name).collect::<Vec<_>>();
    all()
        .filter(|scanner| {
            let count: &mut usize = seen.entry(formats(scanner)).or_default();
            *count += 1;
            *count <= 2
        })
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
        for (case, size) in [
            ("a text of 200 MB", HUGE),
            ("a text of 60 MB", LARGE),
            ("a text of 30 MB", LARGE / 2),
        ] {
            run(
                case,
                quoted(place.kind, Input::default().fill("QUFB", size)),
            );
        }
        // The others take turns.
        let others = other_values(place.kind);
        if let Some((case, attack)) = others.get(number % others.len().max(1)) {
            run(case, attack.clone());
        }
    }
    trial.finish();
}

/// Huge values beside plain texts.
fn other_values(kind: Kind) -> Vec<(&'static str, Input)> {
    let list = |value| Input::of("[").fill([value, ","].concat(), HUGE).then("1]");
    match kind {
        Kind::Value => vec![
            ("JSON: a list of numbers", list("1")),
            ("JSON: a list of texts", list("\"a\"")),
            ("JSON: a list of objects", list("{}")),
            ("JSON: a list of lists", list("[]")),
            (
                "JSON: an object of 200 MB",
                Input::of("{").fill("\"a\":1,", HUGE).then("\"b\":1}"),
            ),
            (
                "JSON: a list of numbers, 60 MB",
                Input::of("[").fill("1,", LARGE).then("1]"),
            ),
            (
                "JSON: a list of texts, 60 MB",
                Input::of("[").fill("\"a\",", LARGE).then("1]"),
            ),
            (
                "JSON: a list of objects, 60 MB",
                Input::of("[").fill("{},", LARGE).then("1]"),
            ),
            (
                "JSON: an object of 60 MB",
                Input::of("{").fill("\"a\":1,", LARGE).then("\"b\":1}"),
            ),
            (
                "JSON: a text of escapes",
                quoted(kind, Input::default().fill("\\u00e9", LARGE)),
            ),
        ],
        Kind::Text => vec![
            ("XML: many elements", Input::default().fill("<a/>", 20 * MB)),
            (
                "XML: CDATA of 200 MB",
                Input::of("<![CDATA[").fill("x", HUGE).then("]]>"),
            ),
            (
                "XML: a comment of 200 MB",
                Input::of("<!--").fill("x", HUGE).then("-->"),
            ),
            (
                "XML: text of references",
                Input::default().fill("&#65;", LARGE),
            ),
        ],
        Kind::Attribute => vec![(
            "XML: attributes of references",
            Input::default().fill("&#65;", LARGE),
        )],
        Kind::Field => vec![(
            "CSV: a field of quotes",
            quoted(kind, Input::default().fill("\"\"", LARGE)),
        )],
    }
}

const SECRET: &str = "hostile-secret-9b1f";

/// Documents with entities; `{}` is where one of them is used.
fn doctypes(folder: &str, port: u16) -> Vec<(&'static str, String, String)> {
    let declared = |inner: &str| format!("<!DOCTYPE r [{inner}]>");
    let laughs: String = (1..10)
        .map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10)))
        .collect();
    let quadratic = format!("<!ENTITY q \"{}\">", "q".repeat(100_000));
    vec![
        (
            "an external entity",
            declared(&format!("<!ENTITY x SYSTEM \"file://{folder}/secret\">")),
            "&x;".into(),
        ),
        (
            "an external document type",
            format!("<!DOCTYPE r SYSTEM \"http://127.0.0.1:{port}/r.dtd\">"),
            "x".into(),
        ),
        (
            "an entity of a server",
            declared(&format!("<!ENTITY x SYSTEM \"http://127.0.0.1:{port}/x\">")),
            "&x;".into(),
        ),
        (
            "a parameter entity",
            declared(&format!(
                "<!ENTITY % p SYSTEM \"http://127.0.0.1:{port}/p\"> %p;"
            )),
            "x".into(),
        ),
        (
            "an XInclude",
            String::new(),
            format!(
                "<xi:include xmlns:xi=\"http://www.w3.org/2001/XInclude\" href=\"file://{folder}/secret\" parse=\"text\"/>"
            ),
        ),
        (
            "a stylesheet",
            format!("<?xml-stylesheet href=\"http://127.0.0.1:{port}/s.xsl\"?>"),
            "x".into(),
        ),
        (
            "a billion laughs",
            declared(&format!("<!ENTITY l0 \"ha\">{laughs}")),
            "&l9;".into(),
        ),
        (
            "a quadratic blow-up",
            declared(&quadratic),
            "&q;".repeat(10_000),
        ),
        (
            "an entity that names itself",
            declared("<!ENTITY x \"&x;\">"),
            "&x;".into(),
        ),
        (
            "a document type without end",
            "<!DOCTYPE r [".into(),
            "x".into(),
        ),
        (
            "a document type in a comment",
            "<!--<!DOCTYPE r>-->".into(),
            "x".into(),
        ),
    ]
}

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
            trial.run(case, &place, Some(fixture.scanner), &padded(case, &bytes));
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

/// Attacks in the place of a member of an archive.
fn inside(content: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let half = &content[..content.len() / 2];
    let text =
        String::from_utf8_lossy(content).replacen('>', &format!(">{}", "<a>".repeat(DEEP)), 1);
    vec![
        ("cut off", half.to_vec()),
        ("nothing", Vec::new()),
        ("NULs", vec![0; MB]),
        ("deep arrays", b"[".repeat(DEEP)),
        ("deep elements", text.into_bytes()),
        ("a large text", [b"<a>", &b"x".repeat(90 * MB)[..]].concat()),
        (
            "a document type",
            [b"<!DOCTYPE a [<!ENTITY x \"y\">]>", content].concat(),
        ),
    ]
}
