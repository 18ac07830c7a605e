//! The whole service in a directory of its own, over a restart.

use new_service::booking::{Booking, Show};
use new_service::server::answer;
use steadfast::Node;

async fn show(node: &Node) -> Booking {
    node.actor::<Booking>("alice").ask(Show).await.unwrap()
}

#[tokio::test]
async fn a_booking_outlives_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let (data, tickets) = (dir.path().join("data"), dir.path().join("tickets"));

    let node = new_service::node(&data, &tickets).start().await.unwrap();
    assert_eq!(answer("reserve alice 2", &node).await, "ok: ()");
    let again = answer("reserve alice 1", &node).await;
    assert_eq!(again, "refused: AlreadyReserved");
    node.shutdown().await.unwrap();

    let node = new_service::node(&data, &tickets).start().await.unwrap();
    assert_eq!(answer("confirm alice", &node).await, "ok: ()");
    // The ticket is printed after the answer: each commit is a reason to look again.
    let mut commits = node.watch_commits();
    while show(&node).await.ticket.is_none() {
        commits.changed().await.unwrap();
    }
    let file = show(&node).await.ticket.unwrap().unwrap();
    let ticket = std::fs::read_to_string(tickets.join(file)).unwrap();
    assert_eq!(ticket, "2 seat(s) for alice\n");
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_line_that_means_nothing_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let node = new_service::node(dir.path(), dir.path());
    let node = node.start().await.unwrap();
    for line in ["", "reserve alice", "reserve alice many", "dance"] {
        assert!(answer(line, &node).await.starts_with("error: "), "{line:?}");
    }
    node.shutdown().await.unwrap();
}
