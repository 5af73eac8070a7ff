//! Zip archives with reports in them.
//!
//! ```ignore
//! let mut archive = Archive::open(report)?;
//! if let Some(audit) = archive.member("audit.fvdl")? {
//!     read(audit)?;
//! }
//! ```
//!
//! The archive as it comes is kept in a temporary file (in memory while it is small), its members are
//! unpacked as they are read. An archive that could be an attack is refused before anything of it is
//! unpacked: see [`Archive::open`].

use std::io::{self, Read, Seek, SeekFrom, Write};

use tempfile::SpooledTempFile;
use zip::ZipArchive;

use crate::{Refusal, Report};

/// How large an archive may be as it comes.
pub const MAX_ARCHIVE: u64 = 256 * 1024 * 1024;
/// How many members it may have. (An FPR has one for each source file that was analysed.)
pub const MAX_MEMBERS: usize = 30_000;
/// How large each of them may be.
pub const MAX_MEMBER: u64 = 512 * 1024 * 1024;
/// How large all of them together may be.
pub const MAX_TOTAL: u64 = 1024 * 1024 * 1024;
/// How many bytes may come out of one, where a member is larger than [`SMALL`].
pub const MAX_RATIO: u64 = 100;

/// A member of this size does no harm, however well it is packed.
const SMALL: u64 = 1024 * 1024;
/// An archive up to this size stays in memory.
const IN_MEMORY: usize = 8 * 1024 * 1024;

/// An archive that is safe to unpack.
#[derive(Debug)]
pub struct Archive {
    zip: ZipArchive<SpooledTempFile>,
    names: Vec<String>,
}

impl Archive {
    /// Opens a report that is an archive. Refused are: one over [`MAX_ARCHIVE`], with more than
    /// [`MAX_MEMBERS`] members, with members over [`MAX_MEMBER`], over [`MAX_TOTAL`] in all or packed
    /// better than [`MAX_RATIO`]; paths that lead out of it, links, entries that overlap, and
    /// encrypted members.
    pub fn open(report: Report<'_>) -> Result<Self, Refusal> {
        report
            .into_archive()
            .unwrap_or_else(|| Err(Refusal::new("this is not a zip archive")))
    }

    /// The paths of the files in it, in its order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The file at this path. One that is an archive itself is refused.
    pub fn member(&mut self, name: &str) -> Result<Option<Report<'_>>, Refusal> {
        if !self.names.iter().any(|n| n == name) {
            return Ok(None);
        }
        let file = self.zip.by_name(name).map_err(|error| broken(&error))?;
        let member = Declared {
            left: file.size(),
            file,
        };
        let report = Report::new_member(name, member);
        let report =
            report.map_err(|error| Refusal::new(format!("{name} cannot be unpacked: {error}")))?;
        if is_archive(report.sniff().bytes()) {
            return Err(
                Refusal::new(format!("{name} is an archive within the archive"))
                    .hint("unpack it, and send the report itself"),
            );
        }
        Ok(Some(report))
    }
}

/// Does a file that begins like this call itself a zip archive?
pub fn is_archive(head: &[u8]) -> bool {
    // A member, or the end of an archive that has none.
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
}

/// Takes an archive whose first bytes are `head` whole and looks through its table of contents.
pub(crate) fn take(head: &[u8], rest: impl Read) -> io::Result<Result<Archive, Refusal>> {
    let mut file = SpooledTempFile::new(IN_MEMORY);
    file.write_all(head)?;
    let size = io::copy(&mut rest.take(MAX_ARCHIVE), &mut file)? + head.len() as u64;
    if size > MAX_ARCHIVE {
        let limit = MAX_ARCHIVE / 1024 / 1024;
        return Ok(Err(Refusal::new(format!(
            "the archive is larger than {limit} MB"
        ))
        .hint("unpack it, and send its reports one by one")));
    }
    Ok(examine(file, size))
}

fn examine(mut file: SpooledTempFile, size: u64) -> Result<Archive, Refusal> {
    // Before the table is read: it would take far more room in memory than in the file.
    let listed = listed_members(&mut file, size).map_err(|error| broken(&error.into()))?;
    if listed > MAX_MEMBERS {
        return Err(unsafe_to_unpack(&format!(
            "it has more than {MAX_MEMBERS} members"
        )));
    }
    let mut zip = ZipArchive::new(file).map_err(|error| broken(&error))?;
    let mut names = Vec::new();
    let mut total = 0_u64;
    for index in 0..zip.len() {
        let member = zip.by_index_raw(index).map_err(|error| broken(&error))?;
        let name = member.name().map_err(|error| broken(&error))?.into_owned();
        if member.is_dir() {
            continue;
        }
        if let Some(why) = objection(&name, &member) {
            let shown: String = name.chars().take(100).collect();
            return Err(unsafe_to_unpack(&format!("its member \"{shown}\" {why}")));
        }
        total = total.saturating_add(member.size());
        names.push(name);
    }
    if total > MAX_TOTAL {
        let limit = MAX_TOTAL / 1024 / 1024;
        return Err(unsafe_to_unpack(&format!(
            "its members take more than {limit} MB"
        )));
    }
    if zip
        .has_overlapping_entries()
        .map_err(|error| broken(&error))?
    {
        return Err(unsafe_to_unpack("its members overlap"));
    }
    Ok(Archive { zip, names })
}

fn objection<R: Read>(name: &str, member: &zip::read::ZipFile<'_, R>) -> Option<String> {
    let (size, packed) = (member.size(), member.compressed_size());
    if member.enclosed_name().is_none() || name.contains('\\') || name.starts_with('/') {
        Some("leads out of it".into())
    } else if member.is_symlink() {
        Some("is a link".into())
    } else if member.encrypted() {
        Some("is encrypted".into())
    } else if size > MAX_MEMBER {
        Some(format!("is larger than {} MB", MAX_MEMBER / 1024 / 1024))
    } else if size > SMALL && size / MAX_RATIO > packed {
        Some(format!("grows to more than {MAX_RATIO} times its size"))
    } else {
        None
    }
}

/// The most members that any end record in the last 64 KB names. (A file may have several: in the
/// comment of the last one, say.)
fn listed_members(file: &mut SpooledTempFile, size: u64) -> io::Result<usize> {
    const END: &[u8] = b"PK\x05\x06";
    let tail = size.min(64 * 1024 + 64);
    file.seek(SeekFrom::Start(size - tail))?;
    let mut bytes = Vec::new();
    file.take(tail).read_to_end(&mut bytes)?;
    file.rewind()?;
    let counts = memchr::memmem::find_iter(&bytes, END).map(|at| {
        let count = bytes.get(at + 8..at + 12);
        // Members on this disk, then in all; 0xFFFF stands for more.
        let number = |low, high| usize::from(u16::from_le_bytes([low, high]));
        match count {
            Some(&[a, b, c, d]) => number(a, b).max(number(c, d)),
            _ => 0,
        }
    });
    Ok(counts.max().unwrap_or(0))
}

fn broken(error: &zip::result::ZipError) -> Refusal {
    Refusal::new(format!("the archive cannot be unpacked: {error}")).hint(super::source::CUT_OFF)
}

fn unsafe_to_unpack(why: &str) -> Refusal {
    Refusal::new(format!("the archive is refused: {why}"))
        .hint("unpack it, and send the report itself")
}

/// Gives no more than the table of contents says.
struct Declared<R> {
    file: R,
    left: u64,
}

impl<R: Read> Read for Declared<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buf)?;
        self.left = (self.left.checked_sub(n as u64))
            .ok_or_else(|| io::Error::other("it is larger than the archive says"))?;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;

    fn archive(write: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        write(&mut zip);
        zip.finish().unwrap().into_inner()
    }

    fn with(members: &[(&str, &[u8])]) -> Vec<u8> {
        archive(|zip| {
            for (name, content) in members {
                zip.start_file(*name, SimpleFileOptions::default()).unwrap();
                zip.write_all(content).unwrap();
            }
        })
    }

    fn refused(bytes: &[u8]) -> String {
        let report = Report::from_bytes("r.zip", bytes);
        assert_eq!(report.sniff().members(), [""; 0]);
        Archive::open(report).unwrap_err().to_string()
    }

    #[test]
    fn members_are_listed_and_read() {
        let bytes = with(&[("a.json", b"{}"), ("sub/b.xml", b"<b/>")]);
        let report = Report::from_bytes("r.zip", &bytes);
        assert!(report.is_archive());
        assert_eq!(report.sniff().members(), ["a.json", "sub/b.xml"]);
        let first = report.sniff().first_member().map(|m| m.bytes().to_vec());
        assert_eq!(first.as_deref(), Some(&b"{}"[..]));
        let mut archive = Archive::open(report).unwrap();
        let mut text = String::new();
        let mut member = archive.member("sub/b.xml").unwrap().unwrap();
        assert_eq!(member.name(), "b.xml");
        member.read_to_string(&mut text).unwrap();
        assert_eq!(text, "<b/>");
        drop(member);
        assert!(archive.member("c").unwrap().is_none());
    }

    #[test]
    fn an_archive_without_members_is_one() {
        let bytes = with(&[]);
        let report = Report::from_bytes("r.zip", &bytes);
        assert!(report.sniff().first_member().is_none());
        let archive = Archive::open(report).unwrap();
        assert_eq!(archive.names(), [""; 0]);
        assert!(Archive::open(Report::from_bytes("r.zip", b"{}")).is_err());
    }

    #[test]
    fn what_could_be_an_attack_is_refused() {
        let bomb = vec![0; 20 * 1024 * 1024];
        let link = archive(|zip| {
            zip.add_symlink("x", "/etc/passwd", SimpleFileOptions::default())
                .unwrap();
        });
        let many: Vec<_> = (0..=MAX_MEMBERS).map(|n| n.to_string()).collect();
        let many: Vec<_> = many.iter().map(|n| (n.as_str(), &b""[..])).collect();
        for (bytes, why) in [
            (with(&[("x", &bomb)]), "grows to"),
            (with(&[("../x", b"")]), "leads out"),
            (with(&[("/x", b"")]), "leads out"),
            (link, "is a link"),
            (with(&many), "more than 30000 members"),
            (b"PK\x03\x04".to_vec(), "cannot be unpacked"),
        ] {
            let refusal = refused(&bytes);
            assert!(refusal.contains(why), "{refusal}");
        }
    }

    #[test]
    fn a_broken_or_nested_archive_is_refused() {
        let inner = with(&[("x", b"x")]);
        let bytes = with(&[("inner.zip", &inner)]);
        let mut outer = Archive::open(Report::from_bytes("r.zip", &bytes)).unwrap();
        let refusal = outer.member("inner.zip").map(|_| ()).unwrap_err();
        assert!(refusal.to_string().contains("within"), "{refusal}");
        for end in 4..inner.len() {
            let refusal = refused(&inner[..end]);
            assert!(refusal.contains("cut off"), "{refusal}");
        }
    }
}
