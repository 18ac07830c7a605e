//! Looks over the log files of a `RocksDB` before it is opened, for the one damage that it never
//! returns from.
//!
//! A file of its own because both the journal and the snapshots need it. In version 11.8 a record in
//! the middle of a log or manifest whose type became one of the "recyclable" ones (one flipped bit)
//! is refused without being skipped, and so is read for ever (`Reader::ReadPhysicalRecord` in
//! `db/log_reader.cc`). We never write such records, so any of them is damage.
//!
//! All other damage is left to `RocksDB`, to the chain and to the mark.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Records do not cross blocks of this size.
const BLOCK: usize = 32 << 10;
/// CRC, length, type.
const HEADER: usize = 7;

/// The first log or manifest in the directory `database` that must not be opened, if there is one.
///
/// # Errors
/// Where a file cannot be read.
#[doc(hidden)]
pub fn endless_file(database: &Path) -> std::io::Result<Option<PathBuf>> {
    let files = match std::fs::read_dir(database) {
        Ok(files) => files,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    for file in files {
        let path = file?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_log = path.extension().is_some_and(|kind| kind == "log");
        if (is_log || name.starts_with("MANIFEST-")) && is_endless(&path)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn is_endless(path: &Path) -> std::io::Result<bool> {
    let mut file = File::open(path)?;
    let mut block = Vec::with_capacity(BLOCK);
    let mut first = true;
    loop {
        block.clear();
        file.by_ref().take(BLOCK as u64).read_to_end(&mut block)?;
        if block.is_empty() {
            return Ok(false);
        }
        let mut rest = block.as_slice();
        while let Some(([_, _, _, _, low, high, kind], body)) = rest.split_first_chunk::<HEADER>() {
            if !first && is_recyclable(*kind) {
                return Ok(true);
            }
            first = false;
            // A length that does not fit ends the block, for RocksDB too.
            let length = usize::from(u16::from_le_bytes([*low, *high]));
            rest = body.get(length..).unwrap_or_default();
        }
    }
}

const fn is_recyclable(kind: u8) -> bool {
    matches!(kind, 5..=8 | 11 | 131)
}

#[cfg(test)]
mod tests;
