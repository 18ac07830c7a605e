//! A flipped bit in the type of a record is found wherever the record lies; sound files pass.

use std::fs;

use tempfile::TempDir;

use super::{BLOCK, HEADER, endless_file};

/// Full records with bodies of these lengths, where records fit into their block.
fn log(bodies: &[usize]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for length in bodies {
        let left = BLOCK - bytes.len() % BLOCK;
        if left < HEADER + length {
            bytes.resize(bytes.len() + left, 0);
        }
        bytes.extend_from_slice(&[1, 2, 3, 4]);
        bytes.extend_from_slice(&u16::try_from(*length).unwrap().to_le_bytes());
        bytes.push(1);
        bytes.resize(bytes.len() + length, 5);
    }
    bytes
}

#[test]
fn finds_a_record_of_a_type_that_is_never_written() {
    let dir = TempDir::new().unwrap();
    assert_eq!(endless_file(&dir.path().join("absent")).unwrap(), None);
    for name in ["000007.log", "MANIFEST-000003"] {
        let path = dir.path().join(name);
        let sound = log(&[10, 0, 20_000, 20_000, 3]);
        fs::write(&path, &sound).unwrap();
        assert_eq!(endless_file(dir.path()).unwrap(), None);
        for header in [17, 24, BLOCK, BLOCK + HEADER + 20_000] {
            let mut damaged = sound.clone();
            damaged[header + 6] ^= 4;
            fs::write(&path, damaged).unwrap();
            assert_eq!(endless_file(dir.path()).unwrap(), Some(path.clone()));
        }
        fs::write(&path, &sound[..BLOCK + 3]).unwrap();
        assert_eq!(endless_file(dir.path()).unwrap(), None);
        fs::remove_file(path).unwrap();
    }
    fs::write(dir.path().join("000009.sst"), [8; 100]).unwrap();
    assert_eq!(endless_file(dir.path()).unwrap(), None);
}
