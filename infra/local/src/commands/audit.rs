//! `tatami audit`: the audit log, exported and verified.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use tatami_store::AuditHead;

use crate::client::{Client, ServerArgs};

/// How many entries are fetched at once: an answer of a Lambda function is 6 MB at most.
const PAGE: usize = 500;

#[derive(Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Check that no entry was changed, taken out or put in
    Verify(VerifyArgs),
    /// Print all entries as JSON lines, which `verify --file` checks
    Export(ExportArgs),
}

#[derive(Args)]
struct VerifyArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Check this export instead of what the server has
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Check also that the log still has the entry whose number and SHA-256 this file has, and write the
    /// last one's into it. Keep it where those who can write to the tables can't: a log that was written
    /// anew from the start is found by nothing else
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
}

#[derive(Args)]
struct ExportArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// Does it.
pub fn run(args: &AuditArgs) -> anyhow::Result<()> {
    match &args.command {
        AuditCommand::Verify(args) => verify(args),
        AuditCommand::Export(args) => export(&args.server.client()?),
    }
}

/// Gives the log to `each`, page by page.
fn pages(client: &Client, mut each: impl FnMut(&str) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut from = 1;
    loop {
        let query = [("from", from.to_string()), ("limit", PAGE.to_string())];
        let text = client.get_text("audit/export/", &query)?;
        each(&text)?;
        let lines = text.lines().count();
        from += lines;
        if lines < PAGE {
            return Ok(());
        }
    }
}

fn export(client: &Client) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    pages(client, |text| Ok(out.write_all(text.as_bytes())?))
}

fn verify(args: &VerifyArgs) -> anyhow::Result<()> {
    let anchor = match &args.anchor {
        Some(path) => read_anchor(path)?,
        None => None,
    };
    let mut head = AuditHead::default();
    let mut follow = |text: &str| -> anyhow::Result<()> {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            head.follow(line)?;
            let here = anchor.as_ref().filter(|anchor| anchor.count == head.count);
            if here.is_some_and(|anchor| anchor.sha256 != head.sha256) {
                bail!(
                    "the audit log was written anew: entry {} is not the one that the anchor names",
                    head.count
                );
            }
        }
        Ok(())
    };
    if let Some(path) = &args.file {
        let text = std::fs::read_to_string(path);
        follow(&text.with_context(|| format!("cannot read {}", path.display()))?)?;
    } else {
        let client = args.server.client()?;
        pages(&client, follow)?;
        let answer = client.get("audit/head/", &[])?;
        let count = answer.body["count"].as_u64().unwrap_or_default();
        // more may have come meanwhile
        if count < head.count {
            bail!(
                "the audit log has {} entries, and its head says {count}",
                head.count
            );
        }
        if count == head.count && answer.body["sha256"].as_str() != Some(&head.sha256) {
            bail!("the audit log's head isn't the SHA-256 of entry {count}");
        }
    }
    if let Some(anchor) = anchor.filter(|anchor| anchor.count > head.count) {
        bail!(
            "the audit log ends with entry {}, and the anchor names entry {}: the end was cut off",
            head.count,
            anchor.count
        );
    }
    if let Some(path) = &args.anchor {
        let text = format!("{} {}\n", head.count, head.sha256);
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let AuditHead { count, sha256 } = head;
    writeln!(
        std::io::stdout(),
        "{count} entries, unbroken; the last one's SHA-256 is {sha256}"
    )?;
    Ok(())
}

/// What an anchor says; none where there is no such file yet.
fn read_anchor(path: &Path) -> anyhow::Result<Option<AuditHead>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", path.display()));
        }
    };
    let (count, sha256) = text.trim().split_once(' ').unwrap_or_default();
    let Ok(count) = count.parse() else {
        bail!(
            "{} is no anchor: it should hold a number and a SHA-256",
            path.display()
        );
    };
    let sha256 = sha256.to_owned();
    Ok(Some(AuditHead { count, sha256 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(names: &[&str]) -> Vec<String> {
        let mut head = AuditHead::default();
        let line = |(n, name): (usize, &&str)| {
            let text = format!(
                r#"{{"id":{},"username":"{name}","previous":"{}"}}"#,
                n + 1,
                head.sha256
            );
            head.follow(&text).unwrap();
            text
        };
        names.iter().enumerate().map(line).collect()
    }

    fn verify_lines(folder: &Path, lines: &[String]) -> anyhow::Result<()> {
        let file = folder.join("audit.ndjson");
        std::fs::write(&file, lines.join("\n")).unwrap();
        let server = ServerArgs::default();
        let anchor = Some(folder.join("anchor"));
        verify(&VerifyArgs {
            server,
            file: Some(file),
            anchor,
        })
    }

    #[test]
    fn an_anchor_tells_a_log_that_was_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let first = lines(&["eve", "bob"]);
        verify_lines(folder.path(), &first).unwrap();
        let longer = lines(&["eve", "bob", "eve"]);
        verify_lines(folder.path(), &longer).unwrap();
        let cut = verify_lines(folder.path(), &first).unwrap_err().to_string();
        assert!(cut.contains("cut off"), "{cut}");
        let anew = lines(&["eve", "eve", "eve", "eve"]);
        let anew = verify_lines(folder.path(), &anew).unwrap_err().to_string();
        assert!(anew.contains("written anew"), "{anew}");
        let mut broken = longer;
        broken[0] = broken[0].replace("eve", "bob");
        let broken = verify_lines(folder.path(), &broken)
            .unwrap_err()
            .to_string();
        assert!(broken.contains("entry 2"), "{broken}");
    }
}
