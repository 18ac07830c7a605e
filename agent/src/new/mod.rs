//! `new service NAME`: a project that builds and passes its tests as it is written.
//!
//! The templates are a real project (`templates/service`) with the package `new-service`; only names and
//! the dependency on steadfast are replaced. A project is written beside its place and then moved there, so
//! that a failure leaves nothing half done, and nothing is ever overwritten.

mod name;
mod source;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) use name::Name;
pub(crate) use source::Source;

use crate::failure::is_denied;
use crate::problem::{Code, Problem};

/// The files of a service: their places and texts.
const SERVICE: [(&str, &str); 10] = [
    (
        "Cargo.toml",
        include_str!("../../templates/service/Cargo.toml.in"),
    ),
    (
        ".gitignore",
        include_str!("../../templates/service/gitignore"),
    ),
    (
        "README.md",
        include_str!("../../templates/service/README.md"),
    ),
    (
        "src/lib.rs",
        include_str!("../../templates/service/src/lib.rs"),
    ),
    (
        "src/main.rs",
        include_str!("../../templates/service/src/main.rs"),
    ),
    (
        "src/booking.rs",
        include_str!("../../templates/service/src/booking.rs"),
    ),
    (
        "src/server.rs",
        include_str!("../../templates/service/src/server.rs"),
    ),
    (
        "src/ticket.rs",
        include_str!("../../templates/service/src/ticket.rs"),
    ),
    (
        "tests/booking.rs",
        include_str!("../../templates/service/tests/booking.rs"),
    ),
    (
        "tests/service.rs",
        include_str!("../../templates/service/tests/service.rs"),
    ),
];

/// A project that was written.
#[derive(Debug)]
pub(crate) struct Made {
    /// Where.
    pub(crate) dir: PathBuf,
    /// Its files, from there.
    pub(crate) files: Vec<String>,
}

/// Writes a service into `dir`, which must not exist.
///
/// # Errors
/// [`Code::Conflict`] if it does.
pub(crate) fn service(name: &Name, dir: &Path, source: &Source) -> Result<Made, Problem> {
    refuse_existing(dir)?;
    let mut files: Vec<_> = SERVICE
        .iter()
        .map(|(place, text)| ((*place).to_owned(), fill(text, name, source)))
        .collect();
    let lock = source.lock()?;
    // The versions that steadfast itself is tested with; cargo drops what is not used.
    files.push(("Cargo.lock".to_owned(), lock));
    write(dir, &files).map_err(|error| not_written(dir, &error))?;
    let files = files.into_iter().map(|(place, _)| place).collect();
    let dir = dir.to_owned();
    Ok(Made { dir, files })
}

fn refuse_existing(dir: &Path) -> Result<(), Problem> {
    if fs::symlink_metadata(dir).is_err() {
        return Ok(());
    }
    let detail = format!("{} exists already: nothing was written", dir.display());
    Err(Problem::new(Code::Conflict, detail).hint("steadfast new service NAME --path DIR"))
}

fn fill(text: &str, name: &Name, source: &Source) -> String {
    text.replace("@STEADFAST@", &source.dependency())
        .replace("new_service", &name.of_crate())
        .replace("new-service", name.as_str())
}

/// All files or none of them.
fn write(dir: &Path, files: &[(String, String)]) -> io::Result<()> {
    let staging = beside(dir)?;
    fs::create_dir_all(staging.parent().unwrap_or(Path::new(".")))?;
    fs::create_dir(&staging)?;
    let written = fill_directory(&staging, files).and_then(|()| fs::rename(&staging, dir));
    if written.is_err() {
        // What is left of the attempt is of no use; the error says why it failed.
        drop(fs::remove_dir_all(&staging));
    }
    written
}

fn fill_directory(dir: &Path, files: &[(String, String)]) -> io::Result<()> {
    for (place, text) in files {
        let path = dir.join(place);
        fs::create_dir_all(path.parent().unwrap_or(dir))?;
        fs::write(path, text)?;
    }
    Ok(())
}

/// A name in the same directory that nobody else uses.
fn beside(dir: &Path) -> io::Result<PathBuf> {
    let name = dir.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let name = format!(".{}.{}", name.to_string_lossy(), std::process::id());
    Ok(dir.with_file_name(name))
}

fn not_written(dir: &Path, error: &io::Error) -> Problem {
    let code = if is_denied(error.kind()) {
        Code::Permission
    } else {
        Code::Failed
    };
    let detail = format!("{} could not be written: {error}", dir.display());
    Problem::new(code, detail).hint("steadfast new service NAME --path DIR")
}
