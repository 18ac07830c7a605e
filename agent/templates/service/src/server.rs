//! Lines over TCP: `reserve NAME SEATS`, `confirm NAME`, `show NAME`; one line of answer each.

use std::fmt::Debug;

use steadfast::{AskError, Node};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::booking::{Booking, Confirm, Reserve, Show};

/// Longest line that is read.
const MAX_LINE: u64 = 1_024;

/// Serves connections until it is dropped.
pub async fn serve(listener: TcpListener, node: Node) -> std::io::Result<()> {
    loop {
        let (connection, _) = listener.accept().await?;
        let node = node.clone();
        tokio::spawn(async move {
            if let Err(error) = converse(connection, &node).await {
                eprintln!("a connection ended: {error}");
            }
        });
    }
}

async fn converse(mut connection: TcpStream, node: &Node) -> std::io::Result<()> {
    let (reader, mut writer) = connection.split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = String::new();
        if (&mut reader).take(MAX_LINE).read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer = answer(&line, node).await;
        writer.write_all(format!("{answer}\n").as_bytes()).await?;
    }
}

/// What a line leads to.
pub async fn answer(line: &str, node: &Node) -> String {
    let words: Vec<_> = line.split_whitespace().collect();
    match words.as_slice() {
        ["reserve", name, seats] => match seats.parse() {
            Ok(seats) => told(booking(node, name).ask(Reserve { seats }).await),
            Err(error) => format!("error: {seats}: {error}"),
        },
        ["confirm", name] => told(booking(node, name).ask(Confirm).await),
        ["show", name] => told(booking(node, name).ask(Show).await),
        _ => "error: reserve NAME SEATS | confirm NAME | show NAME".to_owned(),
    }
}

fn booking(node: &Node, name: &str) -> steadfast::ActorRef<Booking> {
    node.actor(name)
}

fn told<T: Debug, R: Debug>(answer: Result<T, AskError<R>>) -> String {
    match answer {
        Ok(reply) => format!("ok: {reply:?}"),
        Err(AskError::Rejected(reason)) => format!("refused: {reason:?}"),
        Err(error) => format!("error: {error:?}"),
    }
}
