//! Each way to fail has its own exit code and names the command to run next.

use std::fs;
use std::net::TcpListener;

use steadfast::{Handle, Live, Never, Node, StatefulActor};

use crate::support::{Done, Site, skipped, until};

#[track_caller]
fn check(done: &Done, code: i32, words: &[&str]) {
    assert_eq!(done.code, Some(code), "{}", done.stderr);
    for word in words {
        assert!(
            done.stderr.contains(word),
            "{word:?} is missing in: {}",
            done.stderr
        );
    }
}

/// Runs `run` to its end.
fn run(site: &Site) -> Done {
    let mut agent = site.spawn();
    let code = agent.ended().code();
    Done {
        code,
        stdout: String::new(),
        stderr: agent.log(),
    }
}

#[test]
fn usage_is_2() {
    let site = Site::new();
    check(&site.cli(&["trigger"]), 2, &["Usage"]);
    check(&site.cli(&["ps", "--node", "unix:/x"]), 2, &["--node"]);
    let mut command = site.program();
    command
        .args(["run", "--config"])
        .arg(site.config())
        .args(["--node", "unix:/x"]);
    check(&Done::from(command.output().unwrap()), 2, &["--data-dir"]);
    let done = site.cli(&["state", "a b/", "-o", "json"]);
    check(&done, 2, &[]);
    assert_eq!(done.problem()["code"], "bad-request");
}

#[test]
fn a_bad_config_is_78_with_line_and_caret() {
    let site = Site::new();
    site.configure(&site.logs("older_then = \"1h\""));
    let config = site.config();
    let arguments = ["check", "--config", config.to_str().unwrap()];
    check(
        &site.cli(&arguments),
        78,
        &["older_then", "older_than", "^", "steadfast.toml:6"],
    );
    let done = site.cli(&[&arguments[..], &["-o", "json"]].concat());
    check(&done, 78, &[]);
    assert_eq!(done.problem()["errors"][0]["line"], 6);
    check(&run(&site), 78, &["older_than"]);
    assert!(!site.data().exists(), "nothing is touched");

    site.configure(&site.logs("older_than = \"1h\""));
    assert_eq!(site.cli(&arguments).code, Some(0));
}

#[test]
fn a_held_directory_is_9_and_names_the_holder() {
    let site = Site::new();
    let agent = site.start();
    let log = fs::read(site.path("log")).unwrap();
    let second = run(&site);
    check(
        &second,
        9,
        &[&agent.child.id().to_string(), "since", "steadfast ps"],
    );
    drop(log);
    assert_eq!(
        site.json(&["ps"])[0]["status"],
        "idle",
        "the first one goes on"
    );
}

#[test]
fn a_directory_held_in_silence_is_7() {
    let site = Site::new();
    let node = Node::open(site.data()).start_blocking().unwrap();
    let done = site.cli(&["ps", "--timeout", "200ms"]);
    check(&done, 7, &[&std::process::id().to_string(), "since"]);
    check(
        &site.cli(&["trigger", "logs", "--timeout", "200ms"]),
        7,
        &["since"],
    );
    drop(node);
}

#[test]
fn a_port_in_use_is_69_and_names_it() {
    let site = Site::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    site.configure(&format!("[http]\nlisten = [\"{address}\"]\n"));
    check(&run(&site), 69, &[&address, "in use"]);
    assert!(!site.data().exists(), "nothing is touched");
}

/// Root could start a node on the directory of the unit's user, who could not start one any more afterwards.
#[test]
fn a_directory_of_another_user_is_77_and_stays_as_it_is() {
    let site = Site::new();
    site.start().stop();
    let mark = site.data().join("mark");
    if std::os::unix::fs::chown(&mark, Some(4_242_424), None).is_err() {
        return skipped("this user may not give files away; run it as root");
    }
    let before = crate::support::fingerprint(&site.data());
    let next = format!(
        "next: sudo -u '#4242424' steadfast run --config FILE --data-dir {}",
        site.data().display()
    );
    let done = run(&site);
    assert_eq!(done.code, Some(77), "{}", done.stderr);
    assert!(done.stderr.contains(&next), "{}", done.stderr);
    assert_eq!(crate::support::fingerprint(&site.data()), before);
}

#[test]
fn a_directory_that_cannot_be_written_is_77() {
    let site = Site::new();
    // Not even root makes directories there.
    let mut command = site.program();
    command
        .args(["run", "--config"])
        .arg(site.config())
        .args(["--data-dir", "/sys/steadfast"]);
    let done = Done::from(command.output().unwrap());
    check(&done, 77, &["/sys/steadfast"]);
}

#[test]
fn a_socket_path_that_is_too_long_is_78_before_anything_else() {
    let site = Site::new();
    let long = site.path(&"d".repeat(120));
    let mut command = site.program();
    command
        .args(["run", "--config"])
        .arg(site.config())
        .arg("--data-dir")
        .arg(&long);
    check(
        &Done::from(command.output().unwrap()),
        78,
        &["107", "shorter"],
    );
    assert!(!long.exists());
}

#[test]
fn what_is_not_there_is_5() {
    let site = Site::new();
    let _agent = site.start();
    check(
        &site.cli(&["state", "nobody"]),
        5,
        &["concern/nobody", "steadfast ps"],
    );
    check(&site.cli(&["events", "counter/x"]), 5, &["counter/x"]);
    check(&site.cli(&["trigger", "nobody"]), 5, &["concern/nobody"]);
    check(&site.cli(&["pause", "nobody"]), 5, &["concern/nobody"]);
    check(
        &site.cli(&["state", "logs", "--at", "99"]),
        5,
        &["99", "newest is 1"],
    );
}

#[test]
fn a_node_that_does_not_answer_is_7() {
    let site = Site::new();
    let mut command = site.program();
    let address = format!("unix:{}", site.path("no.sock").display());
    command.args(["ps", "--node", &address]);
    check(
        &Done::from(command.output().unwrap()),
        7,
        &[&address, "steadfast run"],
    );
}

#[test]
fn runs_that_do_not_succeed_are_8() {
    let site = Site::new();
    let logs = site.logs("").replace("100000", "1");
    site.configure(&logs);
    site.fill(3);
    let _agent = site.start();
    let done = site.cli(&["trigger", "logs", "--wait", "-o", "json"]);
    check(&done, 8, &[]);
    let run: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(run["outcome"], "limited");
    assert_eq!(done.problem()["code"], "run-failed");
    assert_eq!(site.count(".log"), 2);
}

#[test]
fn giving_up_on_a_run_is_124_and_the_run_goes_on() {
    let site = Site::new();
    site.fill(2_000);
    let _agent = site.start();
    let done = site.cli(&["trigger", "logs", "--wait", "--wait-timeout", "30ms"]);
    // To trigger again would start a second run where the first has ended meanwhile.
    let next = format!(
        "next: steadfast events logs --data-dir {}",
        site.data().display()
    );
    assert!(done.stderr.contains(&next), "{}", done.stderr);
    check(&done, 124, &["goes on"]);
    until("the run ends", || {
        (site.json(&["ps"])[0]["status"] == "idle").then_some(())
    });
    // Whether the request came through in time is open; a second one joins or starts.
    assert_eq!(site.cli(&["trigger", "logs", "--wait"]).code, Some(0));
    assert_eq!(site.count(".log"), 0);
}

#[test]
fn a_journal_that_lost_acknowledged_commits_is_4() {
    let site = Site::new();
    site.fill(3);
    let agent = site.start();
    let mark = || fs::read(site.data().join("mark")).unwrap();
    let before = mark();
    site.json(&["trigger", "logs", "--wait"]);
    until("the mark moves", || (mark() != before).then_some(()));
    agent.kill();
    for entry in fs::read_dir(site.data().join("journal")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "log") {
            fs::write(path, "").unwrap();
        }
    }
    check(&run(&site), 4, &["commit"]);
    let done = site.cli(&["verify", "-o", "json"]);
    check(&done, 4, &[]);
    assert_eq!(done.problem()["code"], "integrity");
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Other {}

#[derive(Debug, steadfast::Event)]
#[event(prefix = "other.")]
enum OtherEvent {
    Made,
}

impl StatefulActor for Other {
    const KIND: &'static str = "other";
    type Event = OtherEvent;

    fn new(_: &steadfast::ActorId) -> Self {
        Self {}
    }

    fn apply(&mut self, _: &OtherEvent) {}
}

#[derive(Debug, serde::Serialize, serde::Deserialize, steadfast::Command)]
#[command(name = "make")]
struct Make {}

impl Handle<Make> for Other {
    fn handle(live: &mut Live<'_, Self>, _: Make) -> Result<(), Never> {
        live.emit(OtherEvent::Made);
        Ok(())
    }
}

#[test]
fn a_name_of_another_kind_is_78_and_names_both() {
    let site = Site::new();
    let node = Node::open(site.data())
        .register::<Other>(steadfast::KindBuilder::command::<Make>)
        .start_blocking()
        .unwrap();
    node.block_on(async { node.actor_in::<Other>("concern", "logs").ask(Make {}).await })
        .unwrap();
    node.block_on(node.shutdown()).unwrap();
    drop(node);
    check(
        &run(&site),
        78,
        &["\"other\"", "\"cleanup\"", "concerns.logs"],
    );
    // Where the file names the directory, commands that do not read the file are told it.
    let data = site.data().display().to_string();
    site.configure(&format!("[node]\ndata_dir = \"{data}\"\n{}", site.logs("")));
    let mut command = site.program();
    command.args(["run", "--config"]).arg(site.config());
    let next = format!("next: steadfast events logs --data-dir {data}");
    check(&Done::from(command.output().unwrap()), 78, &[&next]);
    let events = site.jsonl(&["events", "logs"]);
    assert_eq!(events.len(), 1, "nothing was written");
    check(&site.cli(&["state", "logs"]), 5, &["other"]);
}
