use std::fmt::Write as _;

use crate::scanners::{FOLDERS, SUMMARIES};
use crate::{Algorithm, Dedupe, Format, Scanner};

const HEAD: &str = "\
# Scanners

<!-- Written by `cargo xtask docs` from the scanners' folders; a test tells when it is out of date. -->

The scan type is the name that clients send; it leads to the page about the scanner. *Found again* says what makes
two findings the same one:

- `legacy`: title, CWE, line, file path and description.
- `hash_code`: the fields named, or those of `legacy` where none is. *CWE needed*: a finding without one has those of
  `legacy`.
- `unique_id_from_tool`: the scanner's own id.
- `unique_id_from_tool_or_hash_code`: either of the two.
";

/// The list of all scanners in Markdown: what `docs/scanners.md` holds.
pub fn scanners_markdown() -> String {
    let mut rows: Vec<(String, String)> = FOLDERS
        .iter()
        .flat_map(|(folder, scanners)| scanners.iter().map(|scanner| row(folder, scanner)))
        .collect();
    rows.sort();
    let mut text = HEAD.to_owned();
    // Writing to a string doesn't fail.
    let _ = write!(text, "\n{} scan types.\n\n", rows.len());
    text.push_str(
        "| Scan type | Formats | Found again | Fields | What it is |\n|---|---|---|---|---|\n",
    );
    for (_, row) in rows {
        text.push_str(&row);
    }
    text
}

/// A row of the table and what to sort it by.
fn row(folder: &str, scanner: &Scanner) -> (String, String) {
    let formats: Vec<String> = scanner.formats.iter().map(format).collect();
    let cells = [
        format!(
            "[{}](../shared/scanners/src/scanners/{folder}/mod.rs)",
            scanner.scan_type
        ),
        formats.join(", "),
        format!("`{}`", scanner.dedupe.algorithm.name()),
        fields(&scanner.dedupe),
        notes(folder, scanner),
    ];
    let cells = cells.map(|cell| cell.replace('|', "\\|"));
    let row = format!("| {} |\n", cells.join(" | "));
    (scanner.scan_type.to_lowercase(), row)
}

fn format(format: &Format) -> String {
    let endings: Vec<String> = format
        .extensions
        .iter()
        .map(|e| format!("`.{e}`"))
        .collect();
    if endings.is_empty() {
        return format.name.to_owned();
    }
    format!("{} ({})", format.name, endings.join(", "))
}

fn fields(dedupe: &Dedupe) -> String {
    if matches!(dedupe.algorithm, Algorithm::Legacy | Algorithm::UniqueId) {
        return String::new();
    }
    let names: Vec<&str> = dedupe.fields.iter().map(|field| field.name()).collect();
    let mut text = names.join(", ");
    if text.is_empty() {
        text.push_str("those of `legacy`");
    } else if !dedupe.allows_null_cwe {
        text.push_str("; CWE needed");
    }
    text
}

fn notes(folder: &str, scanner: &Scanner) -> String {
    let summary = SUMMARIES.iter().find(|(name, _)| *name == folder);
    let mut text = summary.map_or("", |(_, summary)| summary).to_owned();
    if !scanner.sarif_drivers.is_empty() {
        let drivers = scanner.sarif_drivers.join(", ");
        // Writing to a string doesn't fail.
        let _ = write!(text, " Takes the SARIF logs of {drivers}.");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_list_of_scanners_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scanners.md");
        let written = fs::read_to_string(path).unwrap_or_default();
        let (written, wanted) = (written, scanners_markdown());
        let lines = |text: &str| -> HashSet<String> { text.lines().map(str::to_owned).collect() };
        let (there, here) = (lines(&written), lines(&wanted));
        let stale: Vec<_> = there.symmetric_difference(&here).collect();
        assert!(
            written == wanted,
            "docs/scanners.md is out of date: run `cargo xtask docs` and commit it. Lines that differ: {stale:#?}"
        );
    }

    #[test]
    fn every_page_begins_with_a_sentence() {
        for (folder, summary) in SUMMARIES {
            assert!(
                summary.ends_with(['.', ':']) && !summary.contains("TODO"),
                "the page in {folder}/mod.rs begins with \"{summary}\": say in a sentence what the scanner is"
            );
        }
    }

    #[test]
    fn a_row_says_what_clients_need() {
        let (key, row) = row("zap", crate::by_scan_type("ZAP Scan").unwrap());
        assert_eq!(key, "zap scan");
        assert!(row.starts_with("| [ZAP Scan](../shared/"), "{row}");
        assert!(row.contains("| XML (`.xml`), JSON (`.json`) |"), "{row}");
        assert!(
            row.contains("| title, cwe, severity; CWE needed |"),
            "{row}"
        );
    }
}
