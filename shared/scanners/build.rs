//! Lists the folders of `src/scanners` into the registry, so that a new scanner is a new folder and
//! nothing else.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

#[allow(
    clippy::disallowed_methods,
    reason = "cargo hands the folders over this way, anew for each checkout"
)]
fn variable(name: &str) -> io::Result<String> {
    std::env::var(name).map_err(io::Error::other)
}

fn main() -> io::Result<()> {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("src/scanners");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut names: Vec<String> = fs::read_dir(&root)?
        .filter_map(Result::ok)
        .filter(|entry| entry.path().join("mod.rs").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();

    let mut code = String::new();
    for name in &names {
        let path = root.join(name).join("mod.rs").display().to_string();
        writeln!(code, "#[path = {path:?}]\npub mod {name};").map_err(io::Error::other)?;
    }
    code.push_str("/// The scanners of every folder, in the folders' order.\n");
    code.push_str("pub static FOLDERS: &[(&str, &[crate::Scanner])] = &[\n");
    for name in &names {
        writeln!(code, "    ({name:?}, {name}::SCANNERS),").map_err(io::Error::other)?;
    }
    code.push_str("];\n");
    code.push_str("/// The first sentence of every folder's page.\n");
    code.push_str("pub static SUMMARIES: &[(&str, &str)] = &[\n");
    for name in &names {
        let page = fs::read_to_string(root.join(name).join("mod.rs"))?;
        writeln!(code, "    ({name:?}, {:?}),", summary(&page)).map_err(io::Error::other)?;
    }
    code.push_str("];\n");
    let out = variable("OUT_DIR")?;
    fs::write(Path::new(&out).join("registry.rs"), code)
}

/// The first sentence below the title of a page in rustdoc comments.
fn summary(code: &str) -> String {
    let page = code.lines().map_while(|line| line.strip_prefix("//!"));
    let text = (page.map(str::trim))
        .skip_while(|line| line.is_empty() || line.starts_with('#'))
        .take_while(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let starts_anew =
        |rest: &str| rest.starts_with(|c: char| c.is_uppercase() || "[`*".contains(c));
    let is_closed = |text: &str| text.matches('(').count() == text.matches(')').count();
    let end = text
        .match_indices(". ")
        .map(|(at, _)| at + 1)
        .find(|end| starts_anew(&text[end + 1..]) && is_closed(&text[..*end]));
    text[..end.unwrap_or(text.len())].to_owned()
}
