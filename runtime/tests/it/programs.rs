//! A node brings its own threads: it works in a tokio program of either kind, in an actix program, in a
//! plain `main`, and several of them work side by side.

use steadfast::{Node, NodeError};

use crate::probe::{Probe, note, notes, with_probe};

/// What any program does.
async fn use_it(node: &Node) -> Result<(), NodeError> {
    let probe = node.actor::<Probe>("a");
    assert_eq!(probe.ask(note("one")).await, Ok(1));
    let patient = probe
        .ask(note("two"))
        .deadline(std::time::Duration::from_secs(60));
    assert_eq!(patient.await, Ok(2));
    probe.tell(note("three")).await.unwrap();
    assert_eq!(notes(&probe).await, ["one", "two", "three"]);
    node.shutdown().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_tokio_program_with_threads() {
    let node = with_probe(Node::in_memory()).start().await.unwrap();
    use_it(&node).await.unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn in_a_tokio_program_of_one_thread() {
    let node = with_probe(Node::in_memory()).start().await.unwrap();
    use_it(&node).await.unwrap();
}

#[test]
fn in_an_actix_program() {
    actix_rt::System::new().block_on(async {
        let node = with_probe(Node::in_memory()).start().await.unwrap();
        use_it(&node).await.unwrap();
        // The program's own system is still the current one, and still runs.
        actix_rt::System::current();
        assert_eq!(actix_rt::spawn(async { 7 }).await.unwrap(), 7);
    });
}

#[test]
fn in_a_plain_program() {
    let node = with_probe(Node::in_memory()).start_blocking().unwrap();
    node.block_on(use_it(&node)).unwrap();
}

#[test]
fn in_a_plain_program_that_just_ends() {
    let node = with_probe(Node::in_memory()).start_blocking().unwrap();
    let probe = node.actor::<Probe>("a");
    assert_eq!(node.block_on(async { probe.ask(note("one")).await }), Ok(1));
    drop(node);
}

#[tokio::test]
async fn dropped_inside_a_runtime() {
    let node = with_probe(Node::in_memory()).start().await.unwrap();
    assert_eq!(node.actor::<Probe>("a").ask(note("one")).await, Ok(1));
    drop(node);
}

#[tokio::test]
async fn two_nodes_side_by_side() {
    let one = with_probe(Node::in_memory()).start().await.unwrap();
    let other = with_probe(Node::in_memory()).start().await.unwrap();
    use_it(&one).await.unwrap();
    use_it(&other).await.unwrap();
}
