//! datum-persistence: a program of its own (`benches/peers/datum`), because it brings another RocksDB.

use std::path::PathBuf;

use tempfile::TempDir;

use super::Peer;
use crate::callers::{Answered, Period};
use crate::child::{Process, number_in, peers_directory, program};
use crate::{Quantiles, Settings};

/// The program, and where its databases go.
pub(super) struct Program {
    file: PathBuf,
    entities: usize,
    dir: TempDir,
    runs: usize,
}

impl Program {
    pub(super) fn find(settings: &Settings, entities: usize) -> Result<Self, String> {
        let file = peers_directory()
            .map(|peers| peers.join("datum/release/steadfast-peer-datum"))
            .filter(|file| file.exists())
            .ok_or("not built: run `scripts/peers.sh datum`, which compiles a RocksDB of its own (some 16 minutes)")?;
        Ok(Self {
            file,
            entities,
            dir: settings.fresh_dir(),
            runs: 0,
        })
    }
}

impl Peer for Program {
    fn answered(&mut self, period: Period) -> Result<Answered, String> {
        self.runs += 1;
        let mut command = program(&self.file);
        command.arg(self.dir.path().join(self.runs.to_string()));
        for number in [
            self.entities.to_string(),
            period.warm_up.as_millis().to_string(),
            period.measured.as_millis().to_string(),
        ] {
            command.arg(number);
        }
        let line = Process::start(&mut command)?.line()?;
        let of = |field| number_in(&line, field);
        Ok(Answered {
            rate: of("rate")?,
            times: Some(Quantiles {
                p50: of("p50")?,
                p99: of("p99")?,
                p999: of("p999")?,
            }),
        })
    }
}
