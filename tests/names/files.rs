//! Config files that are none, and files to clean up whose names are hostile.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::{concern, ended};
use crate::harness::Site;

/// Files that are no configuration, by what they are.
fn broken(valid: &str) -> [(&'static str, Vec<u8>); 17] {
    let nested = |open: &str, close: &str, depth: usize| {
        format!(
            "version = 1\na = {}{}",
            open.repeat(depth),
            close.repeat(depth)
        )
        .into_bytes()
    };
    [
        ("empty", Vec::new()),
        ("zeros", vec![0; 4_096]),
        ("a NUL", valid.replace("version", "vers\0ion").into_bytes()),
        ("not UTF-8", [valid.as_bytes(), b"# \xff\xfe"].concat()),
        (
            "UTF-16",
            valid.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        ),
        (
            "too large",
            [valid.as_bytes(), &b"#".repeat(1 << 20)].concat(),
        ),
        ("deep arrays", nested("[", "]", 100_000)),
        ("deep tables", nested("{a=", "1}", 50_000)),
        (
            "a long key",
            format!("version = 1\n{} = 1", "a.".repeat(50_000)).into_bytes(),
        ),
        (
            "a deep key",
            format!("version = 1\n{}a = 1", "a.".repeat(50_000)).into_bytes(),
        ),
        (
            "a key twice",
            format!("{valid}kind = \"exec\"\n").into_bytes(),
        ),
        (
            "a table twice",
            format!("{valid}{}", concern("logs")).into_bytes(),
        ),
        (
            "a huge number",
            b"version = 99999999999999999999999999".to_vec(),
        ),
        ("another version", b"version = 2".to_vec()),
        ("an open text", format!("{valid}\nx = \"\"\"").into_bytes()),
        (
            "a program",
            fs::read("/proc/self/exe").expect("this program")[..60_000].to_vec(),
        ),
        (
            "escapes",
            b"version = 1\n\"\\u001b[31m\" = \"\\u001b]0;x\\u0007\"\n".to_vec(),
        ),
    ]
}

#[test]
fn config_files_that_are_none_are_refused_with_a_reason() {
    let valid = format!("version = 1\n{}", concern("logs")).replace("FILES", "/proc/none");
    let site = Site::new("");
    for (what, bytes) in broken(&valid) {
        fs::write(site.config(), bytes).expect("a file");
        let (code, said) = ended(&site.check(), what);
        assert_eq!(code, 78, "{what}: {said:.500}");
        assert!(
            said.contains("steadfast.toml"),
            "{what}: it names the file: {said:.500}"
        );
        assert!(said.len() < 20_000, "{what}: {} bytes are said", said.len());
    }
    fs::write(site.config(), format!("\u{feff}{valid}")).expect("a file");
    assert_eq!(
        ended(&site.check(), "a byte order mark").0,
        0,
        "an editor put it there"
    );
    for (what, target) in [
        ("endless", "/dev/zero"),
        ("itself", "steadfast.toml"),
        ("a directory", "/"),
        ("nothing", "none"),
    ] {
        fs::remove_file(site.config()).expect("it is removed");
        symlink(target, site.config()).expect("a link");
        assert_eq!(ended(&site.check(), what).0, 78, "{what}");
    }
}

/// Names that match, whatever they look like.
const GO: [&[u8]; 14] = [
    b"a\nb.log",
    b"\x1b[31mred.log",
    b"\x1b]0;title\x07.log",
    b"-rf.log",
    b" .log",
    b"..log",
    b".log",
    b"*.log",
    b"$(touch x).log",
    "\u{202e}gol.log".as_bytes(),
    "\u{9b}31m.log".as_bytes(),
    b"\\.log",
    "\u{e9}.txt".as_bytes(),
    b"\"'.log",
];
/// Names that do not.
const STAY: [&[u8]; 6] = [
    b"a.log\n",
    b"a.log ",
    b"lo\xffg.log",
    "e\u{301}.txt".as_bytes(),
    b"A.LOG",
    b"log",
];

#[test]
fn files_with_hostile_names_are_removed_literally_and_shown_without_effect() {
    let site = Site::new(
        "[concerns.logs]\nkind = \"cleanup\"\npaths = [\"FILES/**/*.log\", \"FILES/\u{e9}*.txt\"]\nlimits = { files = 1000 }\n",
    );
    for name in GO.iter().chain(&STAY) {
        fs::write(site.files().join(OsStr::from_bytes(name)), "x").expect("a file");
    }
    let longest = format!("{}.log", "x".repeat(251));
    fs::write(site.files().join(&longest), "x").expect("a file");
    fs::create_dir(site.files().join("dir.log")).expect("a directory");
    symlink("/etc/hostname", site.files().join("link.log")).expect("a link");
    deep(&site, 300);
    let agent = site.start();
    let (code, shown) = ended(
        &site.cli(&["trigger", "logs", "--dry-run", "--wait"]),
        "a dry run",
    );
    // The name that is no text and the directory that is too deep are told: that is not a whole success.
    assert!(matches!(code, 0 | 3), "{code}: {shown}");
    let lines = shown
        .lines()
        .filter(|line| line.ends_with("(1 bytes)"))
        .count();
    assert_eq!(lines, GO.len() + 1, "one line each: {shown}");
    let (code, said) = ended(&site.cli(&["trigger", "logs", "--wait"]), "a run");
    assert!(matches!(code, 0 | 3), "{code}: {said}");
    let here = |name: &[u8]| {
        site.files()
            .join(OsStr::from_bytes(name))
            .symlink_metadata()
            .is_ok()
    };
    for name in GO.iter().chain(&[longest.as_bytes()]) {
        assert!(!here(name), "{:?} stayed", String::from_utf8_lossy(name));
    }
    for name in STAY.iter().chain(&[&b"dir.log"[..], b"link.log"]) {
        assert!(here(name), "{:?} went", String::from_utf8_lossy(name));
    }
    for command in [["events", "logs"], ["inspect", "logs"], ["events", "logs"]] {
        ended(&site.cli(&command), command[0]);
    }
    let events = site.json(&["events", "logs"]);
    let literal = site.files().join("\u{1b}[31mred.log").display().to_string();
    assert!(
        events
            .to_string()
            .contains(&serde_json::to_string(&literal).expect("JSON")),
        "in the events as it was"
    );
    agent.stop();
}

/// A file below more directories than a run enters.
fn deep(site: &Site, levels: usize) {
    let shell = format!(
        "for n in $(seq {levels}); do mkdir directory-0; cd -P directory-0 || exit 1; done; : > deep.log"
    );
    let done = Command::new("bash")
        .args(["-c", &shell])
        .current_dir(site.files())
        .status();
    assert!(done.is_ok_and(|status| status.success()), "it is made");
}
