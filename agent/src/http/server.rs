//! One listener, one thread: an actix-web server in a system of its own, so that nothing it does holds up
//! actors.

use std::future::ready;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_server::Server as ActixServer;
use actix_service::{
    IntoServiceFactory as _, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config,
};
use actix_web::dev::{AppConfig, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::{App as Application, web};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::guard::{Transport, guard};
use super::patience::{self, Patient, STALLED};
use super::{App, routes};
use crate::failure::is_denied;
use crate::files;
use crate::problem::{Code, Problem};

/// Requests that are answered before the server ends, at most this many seconds.
const STOP_SECONDS: u64 = 3;
/// How long a client may take to send its head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client that was refused early is listened to, so that it hears why.
const LINGER: Duration = Duration::from_secs(1);

/// What is listened on.
#[derive(Debug)]
pub(crate) enum Listener {
    /// A port of this host.
    Tcp(TcpListener),
    /// A socket in the file system.
    Unix(UnixListener),
}

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Server {
    handle: ServerHandle,
    thread: JoinHandle<()>,
}

/// Listens on `address`.
///
/// # Errors
/// [`Code::Unavailable`] if the port is taken.
pub(crate) fn bind_tcp(address: SocketAddr) -> Result<TcpListener, Problem> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|error| {
        let detail = format!("could not listen on {address}: {error}");
        let taken = error.kind() == std::io::ErrorKind::AddrInUse;
        if taken {
            Problem::new(
                Code::Unavailable,
                format!("{address} is in use by another process"),
            )
            .hint(format!("ss -ltnp 'sport = :{}'", address.port()))
        } else if is_denied(error.kind()) {
            Problem::new(Code::Permission, detail)
        } else {
            Problem::new(Code::Unavailable, detail)
        }
    })
}

impl Server {
    /// Serves `app` on `listener` from now on.
    pub(crate) fn start(app: Arc<App>, listener: Listener) -> Result<Self, Problem> {
        let (report, started) = sync_channel(1);
        let failed = |error: String| Problem::new(Code::Failed, format!("no HTTP server: {error}"));
        let thread = std::thread::Builder::new()
            .name("steadfast-http".to_owned())
            .spawn(move || serve(&app, listener, &report))
            .map_err(|error| failed(error.to_string()))?;
        let handle = started
            .recv()
            .map_err(|_| failed("its thread ended".to_owned()))?
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self { handle, thread })
    }

    /// Takes no more requests, answers those that are there, and ends the thread.
    pub(crate) async fn stop(self) {
        self.handle.stop(true).await;
        if self.thread.join().is_err() {
            tracing::error!("an HTTP thread panicked");
        }
    }
}

type Started = Result<ServerHandle, std::io::Error>;

fn serve(app: &Arc<App>, listener: Listener, report: &SyncSender<Started>) {
    let system = actix_web::rt::System::new();
    let ended = system.block_on(async {
        match build(app, listener) {
            Ok(server) => {
                // Whoever starts the server waits for exactly this message.
                drop(report.send(Ok(server.handle())));
                server.await
            }
            Err(error) => {
                drop(report.send(Err(error)));
                Ok(())
            }
        }
    });
    if let Err(error) = ended {
        tracing::error!(%error, "an HTTP server ended with an error");
    }
}

fn build(app: &Arc<App>, listener: Listener) -> std::io::Result<ActixServer> {
    let app = Arc::clone(app);
    let server = ActixServer::build()
        .workers(1)
        .max_concurrent_connections(files::connections())
        .shutdown_timeout(STOP_SECONDS)
        .disable_signals();
    let server = match listener {
        Listener::Tcp(listener) => server.listen("port", listener, move || {
            service::<TcpStream>(&app, Transport::Tcp, Some(STALLED))
        })?,
        Listener::Unix(listener) => server.listen_uds("socket", listener, move || {
            service::<UnixStream>(&app, Transport::Unix, None)
        })?,
    };
    Ok(server.run())
}

/// What is done with a connection. As actix-web's own server has it, but for the stream, which is a [`Patient`].
fn service<T: AsyncRead + AsyncWrite + Unpin + 'static>(
    app: &Arc<App>,
    transport: Transport,
    stall: Option<Duration>,
) -> impl ServiceFactory<T, Config = (), Response = (), Error = DispatchError, InitError = ()> + use<T>
{
    let phase = app.watch_phase();
    let application = Application::new()
        .app_data(web::Data::from(Arc::clone(app)))
        .wrap(from_fn(move |request, next| {
            guard(transport, request, next)
        }))
        .wrap(from_fn(routes::count))
        .wrap(from_fn(patience::limit))
        .configure(routes::configure)
        .into_factory()
        .map_err(|error: actix_web::Error| error.error_response());
    let http = HttpService::build()
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(LINGER)
        .h1_allow_half_closed(false)
        .on_connect_ext(|stream: &Patient<T>, data| {
            data.insert(Rc::clone(&stream.activity));
        })
        .finish(map_config(application, |()| AppConfig::default()));
    let accepted = move |stream: T| {
        let stream = Patient::new(stream, phase.clone(), stall);
        ready(Ok((stream, Protocol::Http1, None)))
    };
    fn_service(accepted).and_then(http)
}
