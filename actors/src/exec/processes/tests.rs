//! Processes that a node finds which starts again.

use std::process::{Child, Command, Stdio};

use super::*;

fn sleeper(mark: &Mark, node: &str) -> Child {
    Command::new("/bin/sleep")
        .arg("1000")
        .env_clear()
        .env(MARK, &mark.0)
        .env(NODE, node)
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

fn mark(test: &str) -> Mark {
    Mark(format!("{test}:{}", std::process::id()))
}

/// As a node names itself.
fn name(process: &Child) -> String {
    let pid = i32::try_from(process.id()).unwrap();
    format!("{pid}.{}", Process::look_at(pid).unwrap().start)
}

#[test]
fn what_is_left_of_a_dead_node_is_ended() {
    let (ours, other) = (mark("ours"), mark("other"));
    // A process that has ended: its number and start name nothing that lives.
    let mut node = sleeper(&mark("node"), "");
    let name = name(&node);
    node.kill().unwrap();
    node.wait().unwrap();
    let mut left = [sleeper(&ours, &name), sleeper(&ours, "")];
    let mut bystander = sleeper(&other, &name);
    assert_eq!(ours.end_survivors(), Survivors::Ended(2));
    for child in &mut left {
        assert!(!child.wait().unwrap().success());
    }
    assert_eq!(ours.end_survivors(), Survivors::Ended(0));
    assert_eq!(bystander.try_wait().unwrap(), None, "it is of another run");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn what_another_living_node_runs_is_left_alone() {
    let ours = mark("copied");
    let mut node = sleeper(&mark("another-node"), "");
    let mut child = sleeper(&ours, &name(&node));
    assert_eq!(ours.end_survivors(), Survivors::OfAnotherNode);
    assert_eq!(child.try_wait().unwrap(), None);
    for process in [&mut node, &mut child] {
        process.kill().unwrap();
        process.wait().unwrap();
    }
}

#[test]
fn a_dropped_tree_takes_its_processes_along() {
    let ours = mark("dropped");
    let mut child = sleeper(&ours, "");
    drop(Tree::new(ours, Some(child.id())));
    assert!(!child.wait().unwrap().success());
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_is_signalled_by_number_where_handles_are_refused() {
    use std::os::unix::process::ExitStatusExt;

    use rustix::io::Errno;

    for refusal in [Errno::NOSYS, Errno::PERM] {
        let mut child = sleeper(&mark("refused"), "");
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        signal_without_handle(pid, Signal::KILL, refusal).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }
    let gone = signal_without_handle(Pid::INIT, Signal::KILL, Errno::SRCH);
    assert_eq!(gone, Err(Errno::SRCH));
}

/// Looks were counted and their own time was not: with a thousand processes a grace of 2 s took four times that.
#[test]
fn a_grace_is_time_by_the_clock_and_looks_become_rarer() {
    let time = Duration::from_secs(1);
    let mut pace = Pace::new(time);
    let began = pace.end.checked_sub(time).unwrap();
    let waits: Vec<_> = (0..6).filter_map(|_| pace.wait(began)).collect();
    let expected = [20, 40, 80, 160, 200, 200].map(Duration::from_millis);
    assert_eq!(waits, expected);
    let late = began + Duration::from_millis(999);
    assert_eq!(pace.wait(late), Some(Duration::from_millis(1)));
    assert_eq!(pace.wait(pace.end), None);
    assert_eq!(Pace::new(Duration::ZERO).wait(now()), None);
}
