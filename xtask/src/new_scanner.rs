//! The folder of a new scanner, from the files in `skeleton`.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

/// Where the scanners' folders are.
pub const FOLDERS: &str = "shared/scanners/src/scanners";

const PAGE: &str = include_str!("../skeleton/page.txt");
const SCANNER: &str = include_str!("../skeleton/scanner.txt");
const FINDING: &str = include_str!("../skeleton/finding.txt");
const TESTS: &str = include_str!("../skeleton/tests.txt");

/// The names that Rust doesn't let a module have, as far as somebody may want them for a scanner.
const KEYWORDS: [&str; 26] = [
    "abstract", "async", "await", "box", "break", "const", "crate", "do", "dyn", "enum", "extern",
    "final", "for", "impl", "loop", "macro", "match", "mod", "move", "self", "static", "super",
    "trait", "try", "type", "use",
];

/// A format that a skeleton can be had for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Json,
    Xml,
    Csv,
}

/// What differs between the skeletons.
struct Parts {
    format: &'static str,
    ending: &'static str,
    code: &'static str,
    report: &'static str,
    empty: &'static str,
    place: &'static str,
    cut_name: &'static str,
    cut: &'static str,
}

const REFUSED: &str = r#"assert!(parse(&text[..end]).is_err(), "cut at {end}");"#;

impl Format {
    const fn parts(self) -> Parts {
        match self {
            Self::Json => Parts {
                format: "JSON",
                ending: "json",
                code: include_str!("../skeleton/json.txt"),
                report: include_str!("../skeleton/report.json"),
                empty: r##"r#"{"tool": "{{name}}", "issues": []}"#"##,
                place: "issues[0]",
                cut_name: "is_refused",
                cut: REFUSED,
            },
            Self::Xml => Parts {
                format: "XML",
                ending: "xml",
                code: include_str!("../skeleton/xml.txt"),
                report: include_str!("../skeleton/report.xml"),
                empty: r#""<{{name}}></{{name}}>""#,
                place: "issue 1, line 6",
                cut_name: "is_refused",
                cut: REFUSED,
            },
            Self::Csv => Parts {
                format: "CSV",
                ending: "csv",
                code: include_str!("../skeleton/csv.txt"),
                report: include_str!("../skeleton/report.csv"),
                empty: r#""{{title}} ID,Title,Severity,Description\n""#,
                place: "row 2",
                cut_name: "does_no_harm",
                cut: "// A table has no end mark: what is there counts.\n        \
                      let _ = parse(&text[..end]);",
            },
        }
    }
}

/// A scanner that is to be laid out.
#[derive(Debug)]
pub struct NewScanner {
    name: String,
    title: String,
    scan_type: String,
    format: Format,
}

impl NewScanner {
    /// Refuses names that no module can have.
    pub fn new(name: &str, format: Format, scan_type: Option<String>) -> Result<Self, String> {
        let is_word = name.starts_with(|c: char| c.is_ascii_lowercase())
            && !name.ends_with('_')
            && (name.chars()).all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_'));
        if !is_word || KEYWORDS.contains(&name) {
            return Err(format!(
                "\"{name}\" cannot be a folder's name: take small letters, digits and single underscores, such as \
                 \"acme_cloud\", and no word of Rust's"
            ));
        }
        let title = title(name);
        let scan_type = scan_type.unwrap_or_else(|| format!("{title} Scan"));
        let is_plain = |c: char| !c.is_control() && !matches!(c, '"' | '\\');
        if scan_type.trim().is_empty() || !scan_type.chars().all(is_plain) {
            return Err(format!("\"{scan_type}\" cannot be a scan type"));
        }
        Ok(Self {
            name: name.to_owned(),
            title,
            scan_type,
            format,
        })
    }

    /// Writes the folder below the repository's `root`; names the files. One that is there already
    /// is left alone.
    pub fn write(&self, root: &Path) -> Result<Vec<PathBuf>, String> {
        let folder = Path::new(FOLDERS).join(&self.name);
        if root.join(&folder).exists() {
            return Err(format!("{} is there already", folder.display()));
        }
        let mut written = Vec::new();
        for (file, text) in self.files() {
            let file = folder.join(file);
            crate::write(&root.join(&file), &text)?;
            written.push(file);
        }
        Ok(written)
    }

    /// What to do with the folder.
    pub fn next_step(&self) -> String {
        format!(
            "\nReplace what TODO marks in mod.rs, and the report in fixtures; the folder's test says the same:\n  \
             cargo test -p tatami-scanners {}\nThen list it: cargo xtask docs",
            self.name
        )
    }

    fn files(&self) -> [(String, String); 3] {
        let parts = self.format.parts();
        let code = [PAGE, parts.code, FINDING].concat();
        let code = code.replace("{{scanner}}", SCANNER);
        [
            ("mod.rs".to_owned(), self.fill(&code)),
            ("tests.rs".to_owned(), self.fill(TESTS)),
            (self.report(), self.fill(parts.report)),
        ]
    }

    fn report(&self) -> String {
        format!("fixtures/{}", self.file())
    }

    fn file(&self) -> String {
        format!("report.{}", self.format.parts().ending)
    }

    fn fill(&self, template: &str) -> String {
        let parts = self.format.parts();
        // The parts come first: they have blanks of their own.
        template
            .replace("{{empty}}", parts.empty)
            .replace("{{cut}}", parts.cut)
            .replace("{{cut_name}}", parts.cut_name)
            .replace("{{place}}", parts.place)
            .replace("{{format}}", parts.format)
            .replace("{{ending}}", parts.ending)
            .replace("{{file}}", &self.file())
            .replace("{{name}}", &self.name)
            .replace("{{title}}", &self.title)
            .replace("{{scan_type}}", &self.scan_type)
    }
}

/// `acme_cloud` is `Acme Cloud`.
fn title(name: &str) -> String {
    let words = name.split('_').filter(|word| !word.is_empty()).map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_format_gets_a_whole_folder() {
        for (format, ending) in [
            (Format::Json, "json"),
            (Format::Xml, "xml"),
            (Format::Csv, "csv"),
        ] {
            let root = tempfile::tempdir().unwrap();
            let scanner = NewScanner::new("acme_cloud", format, None).unwrap();
            let files = scanner.write(root.path()).unwrap();
            let folder = Path::new("shared/scanners/src/scanners/acme_cloud");
            let report = format!("fixtures/report.{ending}");
            let wanted = ["mod.rs", "tests.rs", &report].map(|file| folder.join(file));
            assert_eq!(files, wanted);
            for file in files {
                let text = fs::read_to_string(root.path().join(&file)).unwrap();
                assert!(
                    !text.contains("{{") && !text.contains("}}"),
                    "{}: {text}",
                    file.display()
                );
            }
            let code = fs::read_to_string(root.path().join(folder).join("mod.rs")).unwrap();
            for part in [
                "//! # Acme Cloud Scan\n",
                "//! ## Getting a report\n",
                "//! ## What becomes of it\n",
                "pub static SCANNERS: &[Scanner]",
                "scan_type: \"Acme Cloud Scan\"",
                "fn detect(",
                "fn read(",
                "TODO",
            ] {
                assert!(code.contains(part), "{part} in {code}");
            }
        }
    }

    #[test]
    fn a_folder_that_is_there_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let own = Some("Acme".to_owned());
        let scanner = NewScanner::new("acme", Format::Json, own).unwrap();
        let files = scanner.write(root.path()).unwrap();
        let code = fs::read_to_string(root.path().join(&files[0])).unwrap();
        assert!(code.contains("scan_type: \"Acme\""), "{code}");

        let again = NewScanner::new("acme", Format::Csv, None).unwrap();
        let refusal = again.write(root.path()).unwrap_err();
        assert!(refusal.contains("there already"), "{refusal}");
        assert_eq!(
            fs::read_to_string(root.path().join(&files[0])).unwrap(),
            code
        );
    }

    #[test]
    fn names_that_no_module_can_have_are_refused() {
        for name in [
            "", "Acme", "4chan", "a-b", "../a", "a/b", "_a", "a_", "é", "mod", "self", "a b",
        ] {
            let refusal = NewScanner::new(name, Format::Json, None).unwrap_err();
            assert!(refusal.contains("acme_cloud"), "{refusal}");
        }
        for name in ["a", "generic", "crunch42", "aws_inspector2"] {
            assert!(NewScanner::new(name, Format::Json, None).is_ok(), "{name}");
        }
        for scan_type in ["", " ", "a\"b", "a\nb", "a\\"] {
            let own = Some(scan_type.to_owned());
            assert!(
                NewScanner::new("a", Format::Json, own).is_err(),
                "{scan_type}"
            );
        }
    }
}
