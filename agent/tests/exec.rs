//! `exec` as its users meet it: from the config file to the exit code.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Site, until};

fn configure(site: &Site, command: &str, keys: &str) {
    let text = format!("[concerns.job]\nkind = \"exec\"\ncommand = {command}\n{keys}\n");
    site.configure(&text);
}

/// The end of the newest run, as its event tells it.
fn end(site: &Site) -> Value {
    let events = site.jsonl(&["events", "job"]);
    let mut ends = events
        .iter()
        .filter(|event| event["name"] == "exec.finished");
    ends.next_back().unwrap()["data"].clone()
}

fn text(path: &Path) -> Option<String> {
    std::fs::read_to_string(path)
        .ok()
        .filter(|text| text.ends_with('\n'))
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.starts_with(" Z"))
}

#[test]
fn a_run_is_triggered_and_its_outcome_is_the_exit_code() {
    let site = Site::new();
    configure(
        &site,
        r#"["/bin/sh", "-c", "echo \"$1\"; echo no >&2; test $1 = good", "x", "good"]"#,
        "",
    );
    let agent = site.start();
    assert_eq!(
        site.json(&["trigger", "job", "--wait"])["outcome"],
        "succeeded"
    );
    assert_eq!(end(&site)["report"]["stdout"]["head"], "good\n");
    agent.stop();
    configure(
        &site,
        r#"["/bin/sh", "-c", "echo disk full >&2; exit 3"]"#,
        "",
    );
    let agent = site.start();
    let done = site.cli(&["trigger", "job", "--wait", "--dry-run"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(
        done.stdout.contains("would run: /bin/sh"),
        "{}",
        done.stdout
    );
    let done = site.cli(&["trigger", "job", "--wait"]);
    assert_eq!(done.code, Some(8), "{}", done.stderr);
    for shown in [done.stdout, site.cli(&["inspect", "job"]).stdout] {
        for said in ["exit code", "3", "stderr", "disk full"] {
            assert!(shown.contains(said), "{said} in {shown}");
        }
    }
    let reason = end(&site)["reason"].as_str().unwrap().to_owned();
    assert!(site.cli(&["status"]).stdout.contains(&reason), "{reason}");
    assert_eq!(end(&site)["report"]["exit_code"], 3);
    agent.stop();
    configure(&site, r#"["/no/such/program"]"#, "");
    let _agent = site.start();
    assert_eq!(site.cli(&["trigger", "job", "--wait"]).code, Some(8));
    assert_eq!(end(&site)["reason"], "/no/such/program does not exist");
    let totals = &site.json(&["state", "job"])["state"]["totals"];
    assert_eq!(
        (&totals["succeeded"], &totals["failed"]),
        (&json!(1), &json!(2))
    );
}

#[test]
fn only_what_is_kept_of_the_nodes_environment_is_passed_on() {
    let site = Site::new();
    configure(
        &site,
        r#"["env"]"#,
        "env_keep = [\"USER\"]\nenv = { A = \"hush\" }",
    );
    let agent = site.start();
    assert_eq!(
        site.json(&["trigger", "job", "--wait"])["outcome"],
        "succeeded"
    );
    let said = end(&site)["report"]["stdout"]["head"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        said.contains("USER=tester\n") && said.contains("A=hush\n"),
        "{said}"
    );
    assert!(!said.contains("HOME="), "{said}");
    assert!(
        !agent.log().contains("hush"),
        "values are not logged: {}",
        agent.log()
    );
}

#[test]
fn a_node_that_is_killed_does_not_know_how_the_run_ended() {
    let site = Site::new();
    let pids = site.path("pids");
    let script = format!(
        "\"setsid sleep 1000 & echo $! >> {}; wait\"",
        pids.display()
    );
    configure(&site, &script, "shell = true");
    let agent = site.start();
    site.json(&["trigger", "job"]);
    let pid = until("the program runs", || text(&pids)).trim().to_owned();
    agent.kill();
    assert!(is_alive(&pid), "it goes on without its node");
    let agent = site.start();
    let ended = until("the run has ended", || {
        let row = site.json(&["ps"])[0].clone();
        (row["last_run"]["outcome"] != Value::Null).then_some(row)
    });
    assert_eq!(
        (&ended["status"], &ended["last_run"]["outcome"]),
        (&json!("idle"), &json!("unknown"))
    );
    assert!(!is_alive(&pid));
    assert_eq!(
        text(&pids).unwrap().lines().count(),
        1,
        "it is not repeated"
    );
    let (_, metrics) = crate::support::get(&site.socket(), "/metrics").unwrap();
    let counted = metrics.lines().any(|line| {
        line.contains("kind=\"exec\"") && line.contains("unknown") && line.ends_with(" 1")
    });
    assert!(counted, "{metrics}");
    agent.stop();
}

#[test]
fn somebody_who_waits_for_a_run_is_told_that_it_is_unknown() {
    let site = Site::new();
    let pids = site.path("pids");
    let script = format!("\"echo $$ >> {}; exec sleep 1000\"", pids.display());
    configure(
        &site,
        &script,
        "shell = true\ntimeout = \"1h\"\ngrace = \"1s\"",
    );
    let agent = site.start();
    site.json(&["trigger", "job"]);
    until("the program runs", || text(&pids));
    agent.kill();
    let _agent = site.start();
    until("the run has ended", || {
        (site.json(&["ps"])[0]["status"] == "idle").then_some(())
    });
    let ended = end(&site);
    assert_eq!(ended["outcome"], "unknown");
    assert!(
        ended["reason"]
            .as_str()
            .unwrap()
            .contains("nothing is repeated")
    );
}

#[test]
fn an_orderly_stop_of_the_node_ends_a_running_program_in_order_and_says_so() {
    let site = Site::new();
    let (pids, trapped) = (site.path("pids"), site.path("trapped"));
    let script = format!(
        "\"\"\"trap 'echo yes > {}; echo bye; exit 0' TERM\necho $$ >> {}\nwhile :; do sleep 0.01; done\"\"\"",
        trapped.display(),
        pids.display()
    );
    configure(
        &site,
        &script,
        "shell = true\ntimeout = \"1h\"\ngrace = \"1h\"",
    );
    let agent = site.start();
    site.json(&["trigger", "job"]);
    let pid = until("the program runs", || text(&pids)).trim().to_owned();
    agent.stop();
    assert_eq!(text(&trapped).as_deref(), Some("yes\n"), "the trap ran");
    assert!(!is_alive(&pid));
    let _agent = site.start();
    let row = site.json(&["ps"])[0].clone();
    assert_eq!(
        (&row["status"], &row["last_run"]["outcome"]),
        (&json!("idle"), &json!("unknown"))
    );
    let ended = end(&site);
    assert_eq!(
        ended["reason"],
        "the node stopped, and the program was ended with it"
    );
    // It was `cancelled`, which is somebody's wish: nobody was told that the work is not done.
    let why = site.json(&["status"])["attention"][0]["why"].clone();
    assert!(
        why.as_str()
            .unwrap()
            .contains("ended unknown: the node stopped"),
        "{why}"
    );
    assert_eq!(ended["report"]["stdout"]["head"], "bye\n");
    assert_eq!(
        text(&pids).unwrap().lines().count(),
        1,
        "it is not repeated"
    );
}

#[test]
fn a_trigger_that_joins_a_run_under_way_says_so() {
    let site = Site::new();
    configure(&site, r#"["/bin/sleep", "600"]"#, "");
    let _agent = site.start();
    let first = site.cli(&["trigger", "job"]);
    assert!(!first.stdout.contains("joined"), "{}", first.stdout);
    let second = site.cli(&["trigger", "job"]);
    assert!(second.stdout.contains("joined it"), "{}", second.stdout);
    site.json(&["cancel", "job"]);
}

/// A program that fails is an outcome of its run and no error of its effect: the documented alerts saw nothing.
#[test]
fn a_run_that_fails_can_be_alerted_on() {
    let site = Site::new();
    configure(&site, r#"["/bin/false"]"#, "");
    let agent = site.start();
    let metrics = || crate::support::get(&site.socket(), "/metrics").unwrap().1;
    let has = |series: &str| {
        let text = metrics();
        assert!(text.lines().any(|line| line == series), "{series}: {text}");
    };
    // A counter that appears with its first error has not risen.
    for series in [
        "steadfast_concern_runs_total{kind=\"exec\",outcome=\"failed\"} 0",
        "steadfast_concerns{status=\"failing\"} 0",
        "steadfast_reloads_total{outcome=\"refused\"} 0",
        "steadfast_journal_errors_total{op=\"commit\"} 0",
        "steadfast_effects_total{kind=\"exec\",outcome=\"unknown\"} 0",
        "steadfast_quarantined{kind=\"exec\"} 0",
    ] {
        has(series);
    }
    assert_eq!(site.cli(&["trigger", "job", "--wait"]).code, Some(8));
    has("steadfast_concern_runs_total{kind=\"exec\",outcome=\"failed\"} 1");
    has("steadfast_concerns{status=\"failing\"} 1");
    let log = agent.log();
    let told = log
        .lines()
        .find(|line| line.contains("\"message\":\"run finished\""));
    assert!(told.unwrap().contains("\"level\":\"WARN\""), "{log}");
    site.configure("no = 1");
    assert_eq!(site.cli(&["reload"]).code, Some(78));
    has("steadfast_reloads_total{outcome=\"refused\"} 1");
}

/// The reason named the whole command line, and everybody on the host could read it.
#[test]
fn a_program_that_cannot_be_started_tells_no_argument_and_a_port_no_reason() {
    use std::os::unix::fs::PermissionsExt;

    let site = Site::new();
    let program = site.path("program");
    std::fs::write(&program, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let free = site.listen();
    let concern = format!(
        "[http]\nlisten = [\"{free}\"]\n[concerns.job]\nkind = \"exec\"\ncommand = [\"{}\", \"--token\", \"s3cret\"]\n",
        program.display()
    );
    site.configure(&concern);
    let _agent = site.start();
    assert_eq!(site.cli(&["trigger", "job", "--wait"]).code, Some(8));
    let reason = end(&site)["reason"].as_str().unwrap().to_owned();
    let named = format!("{} could not be started", program.display());
    assert!(
        reason.starts_with(&named) && !reason.contains("s3cret"),
        "{reason}"
    );
    let why = |answer: (u16, String)| {
        let (_, body) = answer.1.split_once("\r\n\r\n").unwrap();
        let status: Value = serde_json::from_str(body).unwrap();
        status["attention"][0]["why"].as_str().unwrap().to_owned()
    };
    let over_socket = why(crate::support::get(&site.socket(), "/v1/status").unwrap());
    assert!(over_socket.ends_with(&reason), "{over_socket}");
    let port = std::net::TcpStream::connect(free).unwrap();
    let head = "GET /v1/status HTTP/1.1\r\nHost: localhost";
    let over_port = why(crate::support::ask(port, head, "").unwrap());
    assert_eq!(over_port, "the newest run ended failed");
}
