//! Under a service manager: what it is told and when, and how the log reaches its journal. The manager is
//! a socket of the test; the journal is a file whose device and inode `JOURNAL_STREAM` names.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::support::{Site, get, until};

/// The socket of a service manager.
struct Manager(UnixDatagram);

impl Manager {
    fn new(site: &Site) -> Self {
        let socket = UnixDatagram::bind(site.path("notify")).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        Self(socket)
    }

    fn next(&self) -> String {
        let mut buffer = [0; 1_024];
        let length = self.0.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// What is told before a message that begins so, and that message.
    fn until(&self, start: &str) -> (Vec<String>, String) {
        let mut before = Vec::new();
        loop {
            let message = self.next();
            if message.starts_with(start) {
                return (before, message);
            }
            before.push(message);
        }
    }
}

#[test]
fn the_manager_hears_of_readiness_of_life_and_of_the_end() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let agent = site.spawn_with(|command| {
        command
            .env("NOTIFY_SOCKET", site.path("notify"))
            .env("WATCHDOG_USEC", "300000");
    });
    let (before, ready) = manager.until("READY=1\n");
    assert_eq!(before, ["STATUS=opening the journal\n"]);
    assert_eq!(ready, "READY=1\nSTATUS=serving 1 concern(s)\n");
    assert_eq!(get(&site.socket(), "/readyz").unwrap().0, 200);
    for _ in 0..3 {
        assert_eq!(manager.next(), "WATCHDOG=1\n");
    }
    agent.signal("TERM");
    let (pings, stopping) = manager.until("STOPPING=1\n");
    assert!(pings.iter().all(|ping| ping == "WATCHDOG=1\n"), "{pings:?}");
    assert!(stopping.contains("STATUS=draining"), "{stopping}");
    agent.stopped();
    manager.0.set_nonblocking(true).unwrap();
    let mut rest = [0; 64];
    assert!(manager.0.recv(&mut rest).is_err(), "told after the end");
}

#[test]
fn a_watchdog_of_another_process_is_not_answered() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let agent = site.spawn_with(|command| {
        command
            .env("NOTIFY_SOCKET", site.path("notify"))
            .env("WATCHDOG_USEC", "3000")
            .env("WATCHDOG_PID", "1");
    });
    manager.until("READY=1\n");
    for _ in 0..5 {
        assert_eq!(site.cli(&["ps"]).code, Some(0));
    }
    agent.signal("TERM");
    let (pings, _) = manager.until("STOPPING=1\n");
    assert!(pings.is_empty(), "{pings:?}");
    agent.stopped();
}

#[test]
fn a_node_that_cannot_start_never_says_that_it_is_ready() {
    let site = Site::new();
    fs::write(site.data(), "in the way").unwrap();
    let manager = Manager::new(&site);
    let mut agent = site.spawn_with(|command| {
        command.env("NOTIFY_SOCKET", site.path("notify"));
    });
    assert_ne!(agent.ended().code(), Some(0));
    manager.0.set_nonblocking(true).unwrap();
    let mut buffer = [0; 1_024];
    while let Ok(length) = manager.0.recv(&mut buffer) {
        assert!(!buffer[..length].starts_with(b"READY"));
    }
}

#[test]
fn the_journal_gets_priorities_and_others_get_json() {
    let site = Site::new();
    let agent = site.spawn_with(|command| {
        let log = fs::metadata(site.path("log")).unwrap();
        command.env("JOURNAL_STREAM", format!("{}:{}", log.dev(), log.ino()));
    });
    until("the node is ready", || {
        agent.log().contains("ready node=").then_some(())
    });
    let log = agent.log();
    assert!(log.lines().all(|line| line.starts_with("<6>")), "{log}");
    assert!(!log.contains('\u{1b}'), "{log}");
    agent.stop();

    let agent = site.spawn_with(|command| {
        command.env("JOURNAL_STREAM", "1:1");
    });
    until("the node is ready", || {
        agent.log().contains("\"message\":\"ready\"").then_some(())
    });
    agent.stop();
}

#[test]
fn the_configuration_may_ask_for_the_form_of_the_journal() {
    let site = Site::new();
    site.configure(&format!(
        "[telemetry]\nlog = \"journald\"\n{}",
        site.logs("")
    ));
    let agent = site.start();
    assert!(agent.log().starts_with("<6>"), "{}", agent.log());
    agent.stop();
}
