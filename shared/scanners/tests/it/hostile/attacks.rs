//! What is tried.

use super::fixture::Kind;
use super::input::Input;

pub const MB: usize = 1_000_000;
/// More than any limit.
pub const HUGE: usize = 200 * MB;
/// Enough of small things.
pub const MANY: usize = 50 * MB;
/// Enough of values that may grow a hundredfold in memory; a failure should not take the machine along.
pub const DENSE: usize = 8 * MB;
/// Just what a single record may have.
pub const LARGE: usize = 60 * MB;
pub const DEEP: usize = 100_000;
/// Long enough to tell linear from quadratic.
pub const LONG: usize = 300_000;

/// Reports of no scanner in particular.
pub fn small() -> Vec<(&'static str, Input)> {
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
pub fn huge() -> Vec<(&'static str, Input)> {
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
            of(b"{").fill("\"a\":1,", MANY).then("\"a\":1}"),
        ),
        ("JSON: many values", of(b"[").fill("1,", MANY).then("1]")),
        ("JSON: many objects", of(b"[").fill("{},", MANY).then("{}]")),
        ("JSON: many lists", of(b"[").fill("[],", MANY).then("[]]")),
        ("JSON: many documents", Input::default().fill("{}\n", MANY)),
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
pub fn odd_values() -> Vec<(&'static str, Vec<u8>)> {
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

pub fn odd_texts() -> Vec<(&'static str, Vec<u8>)> {
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
pub const REPEATED: [&str; 22] = [
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

pub fn quoted(kind: Kind, text: Input) -> Input {
    match kind {
        Kind::Value | Kind::Field => Input::of("\"").and(text).then("\""),
        Kind::Text | Kind::Attribute => text,
    }
}

/// Large values beside plain texts.
pub fn other_values(kind: Kind) -> Vec<(&'static str, Input)> {
    // A few bytes each, and perhaps a kilobyte in memory.
    let list = |value| Input::of("[").fill([value, ","].concat(), DENSE).then("1]");
    let object = |key: &str| {
        Input::of("{")
            .fill(format!("{key}:1,"), DENSE)
            .then("\"b\":1}")
    };
    match kind {
        Kind::Value => vec![
            ("JSON: a list of numbers", list("1")),
            ("JSON: a list of texts", list("\"a\"")),
            ("JSON: a list of objects", list("{}")),
            ("JSON: a list of lists", list("[]")),
            ("JSON: a large object", object("\"a\"")),
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

/// Documents with entities; `{}` is where one of them is used.
pub fn doctypes(folder: &str, port: u16) -> Vec<(&'static str, String, String)> {
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

/// Attacks in the place of a member of an archive.
pub fn inside(content: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
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
