//! Zip archives as nobody's tool writes them.

use std::io::{Cursor, Read as _, Write as _};

use zip::ZipArchive;
use zip::write::{SimpleFileOptions, ZipWriter};

/// A member, with whatever its headers are to say of it.
#[derive(Clone)]
pub struct Member {
    name: Vec<u8>,
    data: Vec<u8>,
    method: u16,
    flags: u16,
    crc: u32,
    packed: u32,
    size: u32,
    attributes: u32,
    /// Where its local header is said to be, if not where it is.
    offset: Option<u32>,
}

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
const LINK: u32 = 0o120_777 << 16;

fn short(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap()
}

fn long(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap()
}

impl Member {
    pub fn stored(name: &str, data: &[u8]) -> Self {
        Self {
            name: name.into(),
            data: data.to_vec(),
            method: STORED,
            flags: 0,
            crc: crc(data),
            packed: long(data.len()),
            size: long(data.len()),
            attributes: 0,
            offset: None,
        }
    }

    /// A member whose content is a piece over and over again.
    fn deflated(name: &str, piece: &[u8], size: usize) -> Self {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("x", SimpleFileOptions::default()).unwrap();
        let block = piece.repeat((64 * 1024_usize).div_ceil(piece.len()));
        for _ in 0..size.div_ceil(block.len()) {
            zip.write_all(&block).unwrap();
        }
        let mut zip = ZipArchive::new(zip.finish().unwrap()).unwrap();
        let mut member = zip.by_index_raw(0).unwrap();
        let mut data = Vec::new();
        member.read_to_end(&mut data).unwrap();
        Self {
            name: name.into(),
            method: DEFLATED,
            flags: 0,
            crc: member.crc32(),
            packed: long(data.len()),
            size: u32::try_from(member.size()).unwrap(),
            attributes: 0,
            offset: None,
            data,
        }
    }

    /// What both of its headers have in common.
    fn header(&self) -> Vec<u8> {
        let mut header = Vec::new();
        for number in [20, self.flags, self.method, 0, 0x5a21] {
            header.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.crc, self.packed, self.size] {
            header.extend_from_slice(&number.to_le_bytes());
        }
        header.extend_from_slice(&short(self.name.len()).to_le_bytes());
        header.extend_from_slice(&0_u16.to_le_bytes());
        header
    }
}

fn crc(data: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 * (crc & 1))
        })
    };
    !data.iter().fold(!0, step)
}

/// An archive with a table of contents that says what the members say. `comment` comes last.
pub fn zip(members: &[Member], comment: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut table = Vec::new();
    for member in members {
        let offset = member.offset.unwrap_or(long(out.len()));
        out.extend_from_slice(b"PK\x03\x04");
        out.extend_from_slice(&member.header());
        out.extend_from_slice(&member.name);
        out.extend_from_slice(&member.data);
        // Made on Unix, so that the attributes count.
        table.extend_from_slice(b"PK\x01\x02\x14\x03");
        table.extend_from_slice(&member.header());
        table.extend_from_slice(&[0; 6]);
        table.extend_from_slice(&member.attributes.to_le_bytes());
        table.extend_from_slice(&offset.to_le_bytes());
        table.extend_from_slice(&member.name);
    }
    let start = long(out.len());
    out.extend_from_slice(&table);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    let count = u16::try_from(members.len())
        .unwrap_or(u16::MAX)
        .to_le_bytes();
    out.extend_from_slice(&[count, count].concat());
    out.extend_from_slice(&long(table.len()).to_le_bytes());
    out.extend_from_slice(&start.to_le_bytes());
    out.extend_from_slice(&short(comment.len()).to_le_bytes());
    out.extend_from_slice(comment);
    out
}

/// The archive that is none.
pub const HONEST: &str = "zip: as it should be";

/// Must an archive of this kind be refused, whatever a scanner wants of it?
pub fn is_refused(case: &str) -> bool {
    let kinds = [
        "bomb",
        "out of it",
        "absolute",
        "Windows",
        "link",
        "encrypted",
        "overlapping",
        "each other",
        "70,000",
        "cut off",
        "no table",
        "local headers",
        "by far",
        "beyond",
    ];
    kinds.iter().any(|kind| case.contains(kind))
}

/// Attacks by archives with members that scanners look for.
pub fn attacks(wanted: &[(String, Vec<u8>)]) -> Vec<(&'static str, Vec<u8>)> {
    let (name, content) = wanted.first().unwrap();
    let plain = |name: &str| Member::stored(name, content);
    let honest: Vec<Member> = (wanted.iter())
        .map(|(name, content)| Member::stored(name, content))
        .collect();
    let with = |member: Member| {
        let others = honest.iter().filter(|other| other.name != member.name);
        let all: Vec<Member> = others.cloned().chain([member.clone()]).collect();
        zip(&all, b"")
    };
    let changed = |change: fn(&mut Member)| {
        let members = honest.iter().cloned().map(|mut member| {
            change(&mut member);
            member
        });
        zip(&members.collect::<Vec<_>>(), b"")
    };
    let bomb = Member::deflated(name, b"<a>", 48 * 1024 * 1024);
    let named = |member: &Member, name: String| Member {
        name: name.into(),
        ..member.clone()
    };
    let many = |count: usize| -> Vec<Member> {
        (0..count)
            .map(|n| Member::stored(&format!("{n}.txt"), b""))
            .collect()
    };
    let mut lying_small = bomb.clone();
    lying_small.size = 100;
    let mut lying_packed = bomb.clone();
    lying_packed.packed = 0x7fff_ffff;
    let mut overlapping = honest.clone();
    overlapping.extend((0..50).map(|n| Member {
        offset: Some(0),
        ..named(&honest[0], format!("{n}.xml"))
    }));
    // As Fifield's: every member quotes the local headers of those after it.
    let kernel = Member {
        offset: Some(0),
        ..bomb.clone()
    };
    let quoted: Vec<Member> = (0..900)
        .map(|n| named(&kernel, format!("{n}.xml")))
        .collect();
    let end: Vec<u8> = zip(&many(3), b"");
    let inner = zip(&honest, b"");
    vec![
        (HONEST, zip(&honest, b"")),
        ("zip: a bomb of a member", with(bomb.clone())),
        ("zip: bombs beside it", {
            let bombs = (0..30).map(|n| named(&bomb, format!("{n}.xml")));
            zip(
                &honest.iter().cloned().chain(bombs).collect::<Vec<_>>(),
                b"",
            )
        }),
        (
            "zip: smaller than it says, by far",
            changed(|m| m.size = 0x1fff_ffff),
        ),
        ("zip: larger than it says", with(lying_small)),
        ("zip: packed size beyond the end", with(lying_packed)),
        ("zip: size of no bytes", changed(|m| m.size = 0)),
        ("zip: a wrong checksum", changed(|m| m.crc = 1)),
        ("zip: an unknown method", changed(|m| m.method = 99)),
        ("zip: deflated that isn't", changed(|m| m.method = DEFLATED)),
        ("zip: encrypted", changed(|m| m.flags = 1)),
        ("zip: sizes behind the data", changed(|m| m.flags = 8)),
        ("zip: a link", changed(|m| m.attributes = LINK)),
        (
            "zip: a path out of it",
            zip(&[honest.clone(), vec![plain("../x.xml")]].concat(), b""),
        ),
        (
            "zip: a path out of it, inside",
            zip(&[plain("a/../../x.xml")], b""),
        ),
        (
            "zip: an absolute path",
            zip(&[honest.clone(), vec![plain("/etc/x.xml")]].concat(), b""),
        ),
        (
            "zip: a path of Windows",
            zip(&[plain("C:\\x.xml"), plain("..\\x.xml")], b""),
        ),
        (
            "zip: a nameless member",
            zip(&[honest.clone(), vec![plain("")]].concat(), b""),
        ),
        (
            "zip: names with NUL",
            zip(&[honest.clone(), vec![plain("a\0.xml")]].concat(), b""),
        ),
        (
            "zip: a name of 60 KB",
            zip(
                &[honest.clone(), vec![plain(&"n".repeat(60_000))]].concat(),
                b"",
            ),
        ),
        (
            "zip: names that aren't UTF-8",
            changed(|m| m.name = b"\xff\xfe.xml".to_vec()),
        ),
        (
            "zip: every member twice",
            zip(&[honest.clone(), honest.clone()].concat(), b""),
        ),
        ("zip: an archive within", with(Member::stored(name, &inner))),
        ("zip: overlapping members", zip(&overlapping, b"")),
        ("zip: members in each other", zip(&quoted, b"")),
        (
            "zip: 2,000 members",
            zip(&[many(2_000), honest.clone()].concat(), b""),
        ),
        (
            "zip: 70,000 members",
            zip(&[many(70_000), honest.clone()].concat(), b""),
        ),
        ("zip: another end in the comment", zip(&honest, &end)),
        ("zip: cut off", zip(&honest, b"")[..20].to_vec()),
        ("zip: no table", honest_without_table(&honest)),
        ("zip: 200 MB of local headers", b"PK\x03\x04".to_vec()),
    ]
}

fn honest_without_table(members: &[Member]) -> Vec<u8> {
    let whole = zip(members, b"");
    let end = whole.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    whole[..end].to_vec()
}

/// The members of an archive.
pub fn members(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut zip = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut members = Vec::new();
    for index in 0..zip.len() {
        let mut member = zip.by_index(index).unwrap();
        let name = member.name().unwrap().into_owned();
        let mut content = Vec::new();
        member.read_to_end(&mut content).unwrap();
        if !member.is_dir() {
            members.push((name, content));
        }
    }
    members
}

#[test]
fn an_honest_archive_is_read_by_others() {
    let two = [("a".to_owned(), b"one".to_vec()), ("b".to_owned(), vec![])];
    let members = two
        .iter()
        .map(|(name, content)| Member::stored(name, content));
    assert_eq!(self::members(&zip(&members.collect::<Vec<_>>(), b"")), two);
}
