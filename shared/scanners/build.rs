//! Lists the folders of `src/scanners` into the registry, so that a new scanner is a new folder and
//! nothing else.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/scanners");
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
    #[allow(
        clippy::disallowed_methods,
        reason = "cargo hands the folder over this way"
    )]
    let out = std::env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(Path::new(&out).join("registry.rs"), code)
}
