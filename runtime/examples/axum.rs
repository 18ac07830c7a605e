//! A stateful actor inside an axum service, with each answer as an HTTP status: each room is an actor. It
//! listens on a free port of this machine, asks itself, and ends in order.

#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::error::Error;

use axum::extract::{Json, Path, State};
use axum::{Router, http::StatusCode, routing::post};
use serde::{Deserialize, Serialize};
use steadfast::{ActorId, AskError, Command, Event, Handle, Live, Node, StatefulActor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(Event)]
enum RoomEvent {
    Booked { seats: u32 },
}

#[derive(Serialize, Deserialize)]
struct Room(u32);

impl StatefulActor for Room {
    const KIND: &'static str = "room";
    type Event = RoomEvent;
    fn new(_: &ActorId) -> Self {
        Self(10)
    }
    fn apply(&mut self, RoomEvent::Booked { seats }: &RoomEvent) {
        self.0 -= seats;
    }
}

/// Answers how many seats are left, or refuses with how many there are.
#[derive(Serialize, Deserialize, Command)]
#[command(reply = u32, rejection = u32)]
struct Book(u32);

impl Handle<Book> for Room {
    fn handle(room: &mut Live<'_, Self>, Book(seats): Book) -> Result<u32, u32> {
        let left = room.0.checked_sub(seats).ok_or(room.0)?;
        room.emit(RoomEvent::Booked { seats });
        Ok(left)
    }
}

async fn book(node: State<Node>, room: Path<String>, seats: Json<u32>) -> (StatusCode, String) {
    match node.actor::<Room>(&room).ask(Book(seats.0)).await {
        Ok(left) => (StatusCode::OK, left.to_string()),
        Err(AskError::Rejected(left)) => (StatusCode::CONFLICT, left.to_string()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let node = Node::in_memory().register::<Room>(|kind| kind);
    let node = node.start().await?;
    let app = Router::new()
        .route("/rooms/{room}", post(book))
        .with_state(node.clone());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let (address, mut stopping) = (listener.local_addr()?, node.watch_stopping());
    let stop = async move { drop(stopping.wait_for(|stop| *stop).await) };
    let server = axum::serve(listener, app).with_graceful_shutdown(stop);
    let server = tokio::spawn(server.into_future());
    for (seats, expected) in [(8, "200 OK"), (3, "409 Conflict")] {
        let mut connection = tokio::net::TcpStream::connect(address).await?;
        let request = format!(
            "POST /rooms/blue HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
            content-type: application/json\r\ncontent-length: 1\r\n\r\n{seats}"
        );
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        println!("{seats} seats: {answer}\n");
        assert!(answer.contains(expected) && answer.ends_with("\r\n\r\n2"));
    }
    node.shutdown().await?; // ends the server too
    Ok(server.await??)
}
