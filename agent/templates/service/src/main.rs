//! The service: a node, a port, and an orderly end on SIGTERM or Ctrl-C.
//!
//! `new-service [DATA] [ADDRESS]`

use std::error::Error;
use std::path::PathBuf;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let data = PathBuf::from(arguments.next().unwrap_or_else(|| "data".to_owned()));
    let address = arguments.next();
    let address = address.as_deref().unwrap_or("127.0.0.1:7700");

    // Before anything is opened, so that no signal is missed.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let tickets = data.join("tickets");
    let node = new_service::node(&data, &tickets).start().await?;
    let listener = TcpListener::bind(address).await?;
    println!("serving {} on {}", data.display(), listener.local_addr()?);

    tokio::select! {
        served = new_service::server::serve(listener, node.clone()) => served?,
        _ = terminate.recv() => println!("SIGTERM"),
        _ = interrupt.recv() => println!("SIGINT"),
    }
    // What was accepted is finished; timers and effects that are pending go on at the next start.
    node.shutdown().await?;
    println!("stopped");
    Ok(())
}
