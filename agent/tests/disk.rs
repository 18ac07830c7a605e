//! A disk without room. A small file system of the test's own; where this user may not mount one, the tests say so
//! and pass.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Site, ask, get, skipped, until};

/// A file system in memory, gone when dropped.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// `None` where this process may not mount.
    fn mount(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(at)
            .output();
        if !done.is_ok_and(|done| done.status.success()) {
            skipped("this user may not mount a file system; run it as root");
            return None;
        }
        Some(Self { at: at.to_owned() })
    }

    fn resize(&self, size: &str) {
        let size = format!("remount,size={size}");
        let done = Command::new("mount")
            .args(["-o", &size])
            .arg(&self.at)
            .status();
        assert!(done.is_ok_and(|status| status.success()), "it is resized");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let done = Command::new("umount").arg(&self.at).status();
        assert!(done.is_ok_and(|status| status.success()), "it unmounts");
    }
}

/// Waits until the port says that the disk is full.
fn held_up(address: SocketAddr) {
    until("the port says why", || {
        let stream = TcpStream::connect(address).ok()?;
        let head = format!("GET /readyz HTTP/1.1\r\nHost: {address}");
        let (status, body) = ask(stream, &head, "").ok()?;
        assert_eq!(status, 503, "{body}");
        body.contains("no space left").then_some(())
    });
}

/// The process ended with exit 1, and after ten of them systemd gave the unit up: the node whose cleanups were to
/// make room stayed down when there was room.
#[test]
fn a_start_on_a_full_disk_waits_for_room_and_goes_on_by_itself() {
    let site = Site::new();
    let address = site.listen();
    let Some(disk) = SmallDisk::mount(&site.data(), "64k") else {
        return;
    };
    let agent = site.spawn();
    held_up(address);
    disk.resize("64m");
    until("the node is ready", || {
        let (status, _) = get(&site.socket(), "/readyz").ok()?;
        (status == 200).then_some(())
    });
    let log = agent.log();
    assert_eq!(log.matches("cannot be opened yet").count(), 1, "{log}");
    agent.stop();
}

#[test]
fn a_node_that_waits_for_room_ends_when_it_is_asked_to() {
    let site = Site::new();
    let address = site.listen();
    let Some(_disk) = SmallDisk::mount(&site.data(), "64k") else {
        return;
    };
    let agent = site.spawn();
    held_up(address);
    agent.stop();
}
