//! steadfast behind HTTP: the counter in an actix-web server, as an embedder has it, in a process of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use steadfast::Node;
use tempfile::TempDir;

use crate::child::{Process, end_with_parent};
use crate::{Add, Counter, Settings};

/// The hidden subcommand: it is followed by a directory.
const SUBCOMMAND: &str = "serve-http";

/// The server's process.
pub(super) struct Served {
    address: SocketAddr,
    /// It ends before its directory goes.
    _process: Process,
    _dir: TempDir,
}

impl Served {
    pub(super) fn start(settings: &Settings) -> Result<Self, String> {
        let dir = settings.fresh_dir();
        let path = dir.path().display().to_string();
        let mut process = Process::of_this_program(&[SUBCOMMAND, &path])?;
        let line = process.line()?;
        let address = line.parse().map_err(|_| format!("no address: {line:?}"))?;
        Ok(Self {
            address,
            _process: process,
            _dir: dir,
        })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// If this process was started to serve, serves until it is killed.
///
/// # Panics
/// Where that fails.
pub(in crate::suite) fn serve_inside(arguments: &[String]) -> Option<ExitCode> {
    let [subcommand, dir] = arguments else {
        return None;
    };
    if subcommand != SUBCOMMAND {
        return None;
    }
    end_with_parent();
    let served = actix_rt::System::new().block_on(serve(Path::new(dir)));
    served.expect("it serves");
    Some(ExitCode::SUCCESS)
}

async fn serve(dir: &Path) -> std::io::Result<()> {
    let node = Node::open(dir).register::<Counter>(|kind| kind);
    let node = web::Data::new(node.start().await.expect("the node starts"));
    let server = HttpServer::new(move || {
        let add = web::resource("/counter/{name}/add").route(web::post().to(add));
        App::new().app_data(node.clone()).service(add)
    });
    let server = server.bind(("127.0.0.1", 0))?;
    let address = server.addrs().first().copied();
    println!("{}", address.expect("it is bound"));
    server.run().await
}

async fn add(
    node: web::Data<Node>,
    name: web::Path<String>,
    amount: web::Json<u64>,
    request: HttpRequest,
) -> HttpResponse {
    let counter = node.actor::<Counter>(&name);
    let add = counter.ask(Add {
        amount: amount.into_inner(),
    });
    let key = request.headers().get("idempotency-key");
    let answer = match key.map(|key| key.to_str()) {
        None => add.await,
        Some(Ok(key)) => add.key(key).await,
        Some(Err(error)) => return HttpResponse::BadRequest().body(error.to_string()),
    };
    match answer {
        Ok(total) => HttpResponse::Ok().json(total),
        Err(error) => HttpResponse::ServiceUnavailable().body(error.to_string()),
    }
}
