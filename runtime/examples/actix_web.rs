//! A stateful actor inside an actix-web service: each cart is an actor, and the server only carries
//! requests to it. It listens on a free port of this machine, asks itself once, and ends.

#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::collections::BTreeMap;
use std::error::Error;

use actix_web::{App, HttpResponse, HttpServer, post, web};
use serde::{Deserialize, Serialize};
use steadfast::{ActorId, Command, Event, Handle, Live, Never, Node, StatefulActor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(Event)]
enum CartEvent {
    Added { item: String, count: u32 },
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Cart(BTreeMap<String, u32>);

impl StatefulActor for Cart {
    const KIND: &'static str = "cart";
    type Event = CartEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, event: &CartEvent) {
        let CartEvent::Added { item, count } = event;
        *self.0.entry(item.clone()).or_default() += count;
    }
}

#[derive(Serialize, Deserialize, Command)]
#[command(reply = Cart)]
struct Add {
    item: String,
    count: u32,
}

impl Handle<Add> for Cart {
    fn handle(cart: &mut Live<'_, Self>, Add { item, count }: Add) -> Result<Self, Never> {
        cart.emit(CartEvent::Added { item, count });
        Ok(cart.state().clone())
    }
}

#[post("/carts/{name}")]
async fn add(node: web::Data<Node>, name: web::Path<String>, new: web::Json<Add>) -> HttpResponse {
    match node.actor::<Cart>(&name).ask(new.into_inner()).await {
        Ok(cart) => HttpResponse::Ok().json(cart),
        Err(error) => HttpResponse::ServiceUnavailable().body(error.to_string()),
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let node = Node::in_memory().register::<Cart>(|cart| cart);
    let node = node.start().await?;
    let shared = web::Data::new(node.clone());
    let server = HttpServer::new(move || App::new().app_data(shared.clone()).service(add))
        .bind(("127.0.0.1", 0))?;
    let (address, server) = (server.addrs(), server.workers(1).run());
    let handle = server.handle();
    actix_web::rt::spawn(server);

    let mut connection = tokio::net::TcpStream::connect(address.as_slice()).await?;
    let request = "POST /carts/alice HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
        content-type: application/json\r\ncontent-length: 24\r\n\r\n{\"item\":\"tea\",\"count\":2}";
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    assert!(answer.ends_with(r#"{"tea":2}"#), "{answer}");
    println!("http://{address:?}/carts/alice answered\n{answer}");

    handle.stop(true).await;
    Ok(node.shutdown().await?)
}
