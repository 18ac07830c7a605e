//! The counter of the benchmarks as a virtual object of Restate's Rust SDK.
//!
//! `steadfast-peer-restate PORT` serves it on the loopback, and prints `ready` once it listens.

use std::error::Error;

use restate_sdk::prelude::*;
use tokio::net::TcpListener;

struct Counter;

#[restate_sdk::object(name = "counter")]
impl Counter {
    #[handler(name = "add")]
    async fn add(&self, context: ObjectContext<'_>, amount: u64) -> Result<u64, HandlerError> {
        let total = context.get::<u64>("total").await?.unwrap_or(0) + amount;
        context.set("total", total);
        Ok(total)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("PORT is expected")?.parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        println!("ready");
        let endpoint = Endpoint::builder().bind(Counter).build();
        HttpServer::new(endpoint).serve(listener).await;
        Ok(())
    })
}
