//! A Python with the packages of `tests/requirements.txt`, and servers that tests start with it.
//!
//! ```no_run
//! # use std::process::Command;
//! # use tatami_test_python::{Server, python, script};
//! let Some(python) = python() else { return };
//! let mut command = Command::new(python);
//! let server = Server::start(command.arg(script("smtp_server.py"))).unwrap();
//! println!("127.0.0.1:{}", server.port());
//! ```

mod server;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub use server::{Server, free_port};

const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../requirements.txt");

/// The Python to start servers with: the one that `TATAMI_TEST_PYTHON` names, or else that of a venv in the target
/// folder, which is made once for each list of packages. None, where there can't be one: the reason is then on
/// stderr whether or not the tests' output is shown, and the test returns.
pub fn python() -> Option<PathBuf> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let provided = PYTHON.get_or_init(|| {
        provide()
            .inspect_err(|why| {
                // unlike eprintln!, which is shown only where a test fails
                let _ = writeln!(
                    io::stderr(),
                    "SKIPPED: tests against servers in Python, since {why}; \
                     TATAMI_TEST_PYTHON may name a Python with the packages of tests/requirements.txt"
                );
            })
            .ok()
    });
    provided.clone()
}

/// The path of a script of this crate, such as `smtp_server.py`.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[allow(clippy::disallowed_methods, reason = "a setting of tests alone")]
fn provide() -> Result<PathBuf, String> {
    // not looked at here: one that doesn't work fails the tests
    if let Some(path) = std::env::var_os("TATAMI_TEST_PYTHON").filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    venv(&target_folder()?)
}

/// The folder above `debug/deps`, which the test's program lies in.
fn target_folder() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    program
        .ancestors()
        .find(|folder| folder.ends_with("deps"))
        .and_then(|deps| deps.parent()?.parent())
        .map(Path::to_owned)
        .ok_or_else(|| format!("{} lies in no target folder", program.display()))
}

/// The Python of `tatami-venv` below `folder`; makes it where it isn't as it should be. Another process that wants
/// it waits.
fn venv(folder: &Path) -> Result<PathBuf, String> {
    let of = |path: &Path, error: &io::Error| format!("{}: {error}", path.display());
    let venv = folder.join("tatami-venv");
    let python = venv.join("bin/python");
    let lock_path = folder.join("tatami-venv.lock");
    let lock = File::create(&lock_path).map_err(|error| of(&lock_path, &error))?;
    lock.lock().map_err(|error| of(&lock_path, &error))?;
    let requirements = Path::new(REQUIREMENTS);
    let packages = fs::read_to_string(requirements).map_err(|error| of(requirements, &error))?;
    let version = run(Command::new("python3").arg("--version"))?;
    let (stamp, wanted) = (venv.join("stamp"), format!("{version}{packages}"));
    if fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return Ok(python);
    }
    if venv.exists() {
        fs::remove_dir_all(&venv).map_err(|error| of(&venv, &error))?;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--no-input"])
        .args(["--disable-pip-version-check", "--requirement"])
        .arg(requirements))?;
    fs::write(&stamp, wanted).map_err(|error| of(&stamp, &error))?;
    Ok(python)
}

/// What the command prints.
fn run(command: &mut Command) -> Result<String, String> {
    let name = format!("{command:?}");
    let output = command
        .output()
        .map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    let last = why.trim().lines().last().unwrap_or_default();
    Err(format!("{name} failed ({}): {last}", output.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_python_has_the_packages() {
        let Some(python) = python() else { return };
        let script =
            "import aiosmtpd; from importlib.metadata import version; print(version('jira820'))";
        let printed = run(Command::new(python).args(["-c", script])).unwrap();
        let packages = fs::read_to_string(REQUIREMENTS).unwrap();
        assert!(
            packages.contains(&format!("jira820=={}", printed.trim())),
            "{printed}"
        );
    }

    #[test]
    fn a_command_that_fails_says_why() {
        let missing = run(&mut Command::new("/nowhere/python3")).unwrap_err();
        assert!(missing.contains("/nowhere/python3"), "{missing}");
        let mut failing = Command::new("sh");
        let failed = run(failing.args(["-c", "echo one >&2; echo two >&2; exit 3"])).unwrap_err();
        assert!(failed.ends_with("failed (exit status: 3): two"), "{failed}");
    }
}
