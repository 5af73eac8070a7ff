//! `tatami scanners`: the scan types.

use clap::Args;
use serde_json::{Value, json};
use tatami_scanners::{Algorithm, Format, HashField, Scanner};

use crate::table::{self, Table};

#[derive(Args)]
pub struct ScannersArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What counts where a scanner names no fields of its own.
const LEGACY: &[HashField] = &[
    HashField::Title,
    HashField::Cwe,
    HashField::Line,
    HashField::FilePath,
    HashField::Description,
];

/// Prints them.
pub fn run(args: &ScannersArgs) -> anyhow::Result<()> {
    let mut scanners: Vec<&Scanner> = tatami_scanners::all().collect();
    scanners.sort_by_key(|scanner| scanner.scan_type.to_lowercase());
    if args.json {
        return table::print_json(&scanners.into_iter().map(as_json).collect::<Value>());
    }
    let mut table = Table::new(["Scan type", "Formats", "Deduplicated by", "Fields"]);
    for scanner in scanners {
        table.row([
            scanner.scan_type.to_owned(),
            scanner
                .formats
                .iter()
                .map(in_words)
                .collect::<Vec<_>>()
                .join(", "),
            scanner.dedupe.algorithm.name().to_owned(),
            fields(scanner).join(", "),
        ]);
    }
    table.print()
}

fn as_json(scanner: &Scanner) -> Value {
    let formats: Vec<Value> = (scanner.formats.iter())
        .map(|format| json!({"name": format.name, "extensions": format.extensions}))
        .collect();
    json!({
        "scan_type": scanner.scan_type,
        "formats": formats,
        "dedupe": {
            "algorithm": scanner.dedupe.algorithm.name(),
            "fields": fields(scanner),
            "allows_null_cwe": scanner.dedupe.allows_null_cwe,
        },
    })
}

fn in_words(format: &Format) -> String {
    let endings: Vec<String> = format.extensions.iter().map(|e| format!(".{e}")).collect();
    if endings.is_empty() {
        return format.name.to_owned();
    }
    format!("{} ({})", format.name, endings.join(" "))
}

/// The fields whose values make two findings the same.
fn fields(scanner: &Scanner) -> Vec<&'static str> {
    let dedupe = &scanner.dedupe;
    let hashed = match (dedupe.algorithm, dedupe.fields) {
        (Algorithm::UniqueId, _) => &[],
        (Algorithm::Legacy, _) | (_, []) => LEGACY,
        (_, fields) => fields,
    };
    hashed.iter().map(|field| field.name()).collect()
}
