//! `run`: one node in the foreground, from its configuration to its orderly end.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use steadfast::Node;
use steadfast::journal::{Error as JournalError, holder};

use crate::cli::{Output, load, target};
use crate::config::{Config, Listen};
use crate::http::{App, Listener, Phase, Server, bind_tcp};
use crate::logging::{self, Verbosity};
use crate::problem::{Code, Exit, Problem};
use crate::reload::{Reloader, Source};
use crate::service::{Notifier, State, Watchdog};
use crate::signals::Ending;
use crate::socket::{self, SocketFile};
use crate::{files, opening, owner, signals};

/// Runs a node until it is asked to end.
pub(crate) fn run(
    file: &Path,
    data_dir: Option<&Path>,
    verbosity: Verbosity,
    output: Output,
) -> Result<Exit, Problem> {
    let config = load(file, output)?;
    logging::of_a_node(verbosity, config.telemetry.log, output.color);
    let dir = target::directory(data_dir, config.node.data_dir.as_deref())?;
    let socket = socket::path_in(&dir)?;
    files::raise_limit();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::new(Code::Failed, format!("no runtime: {error}")))?;
    let source = Source {
        file: file.to_owned(),
        data_dir_named: data_dir.is_some(),
    };
    let served = runtime.block_on(serve(&config, source, &dir, &socket));
    // The directory may be the file's: the commands that are named do not read that.
    served.map_err(|problem| {
        let hint = target::with_flags(&problem.hint, &target::data_dir_flag(&dir));
        problem.hint(hint)
    })
}

async fn serve(
    config: &Config,
    source: Source,
    dir: &Path,
    socket: &Path,
) -> Result<Exit, Problem> {
    let mut ending = signals::listen()?;
    refuse_held(dir)?;
    owner::refuse_foreign(dir)?;
    let service = Notifier::from_environment();
    service.tell(State::Starting("opening the journal"));
    let reloader = Reloader::new(source, config, service.clone());
    let mut front = Front::new(App::new(config, dir, reloader));
    front.serve_ports(&config.http.listen)?;
    let opened = opening::open(dir, &front.app, &service, &mut ending).await?;
    let Some(node) = opened else {
        return Ok(Exit::Ok);
    };
    front.app.install(node.clone());
    let place = Place { dir, socket };
    let served = until_asked(&mut front, &node, config, place, &service, &mut ending).await;
    service.tell(State::Stopping(
        "draining: programs are ended, all other work goes on at the next start",
    ));
    if let Err(problem) = &served {
        tracing::error!(%problem, "stopping");
    }
    let drained = front.drain(&node).await;
    served.and(drained)
}

/// Where the node keeps its data, and the socket in there.
#[derive(Clone, Copy)]
struct Place<'a> {
    dir: &'a Path,
    socket: &'a Path,
}

/// Configures, serves, and waits for a signal.
async fn until_asked(
    front: &mut Front,
    node: &Node,
    config: &Config,
    Place { dir, socket }: Place<'_>,
    service: &Notifier,
    ending: &mut Ending,
) -> Result<Exit, Problem> {
    front.serve_sockets(socket, &config.http.listen)?;
    let reloader = Arc::clone(front.app.reloader());
    tokio::select! {
        biased;
        signal = ending.end() => {
            tracing::info!(signal, "stopping before the node is ready");
            return Ok(Exit::Ok);
        }
        started = reloader.start(node, config) => started?,
    }
    node.start_pending_work().await?;
    front.app.enter(Phase::Ready);
    let listen: Vec<String> = config.http.listen.iter().map(ToString::to_string).collect();
    tracing::info!(
        node = config.node.name,
        pid = std::process::id(),
        data_dir = %dir.display(),
        socket = %socket.display(),
        listen = listen.join(" "),
        concerns = config.concerns.len(),
        "ready"
    );
    let count = config.concerns.len();
    service.tell(State::Ready(&format!("serving {count} concern(s)")));
    let _watchdog = Watchdog::start(service, node);
    let signal = reloader.serve(node, ending).await;
    tracing::info!(
        signal,
        "draining: programs that are going are ended, all other work goes on at the next start; SIGINT leaves at once"
    );
    Ok(Exit::Ok)
}

/// A directory that is held is said before any port is tried. The lock itself is taken by opening.
fn refuse_held(dir: &Path) -> Result<(), Problem> {
    match holder(dir) {
        Ok(None) | Err(JournalError::Missing { .. }) => Ok(()),
        Ok(Some(holder)) => Err(held(dir, holder.pid, &holder.since)),
        Err(error) => Err(error.into()),
    }
}

fn held(dir: &Path, pid: u32, since: &str) -> Problem {
    let detail = format!("{} is held by process {pid} since {since}", dir.display());
    Problem::new(Code::Locked, detail).hint(format!("steadfast ps --data-dir {}", dir.display()))
}

/// Everything that faces the outside.
struct Front {
    app: Arc<App>,
    servers: Vec<Server>,
    sockets: Vec<SocketFile>,
}

impl Front {
    fn new(app: Arc<App>) -> Self {
        Self {
            app,
            servers: Vec::new(),
            sockets: Vec::new(),
        }
    }

    /// Ports are served before the journal is open, to tell that the node is starting.
    fn serve_ports(&mut self, listen: &[Listen]) -> Result<(), Problem> {
        let mut bound = Vec::new();
        for address in listen {
            match address {
                Listen::Tcp(address) => bound.push(bind_tcp(*address)?),
                Listen::Unix(_) => {}
            }
        }
        for listener in bound {
            self.serve(Listener::Tcp(listener))?;
        }
        Ok(())
    }

    /// Sockets are served by whoever holds the directory: only then may a stale one be replaced.
    fn serve_sockets(&mut self, own: &Path, listen: &[Listen]) -> Result<(), Problem> {
        let configured = listen.iter().filter_map(|address| match address {
            Listen::Unix(path) => Some(path.clone()),
            Listen::Tcp(_) => None,
        });
        let mut paths: Vec<PathBuf> = configured.filter(|path| path != own).collect();
        paths.insert(0, own.to_owned());
        for path in paths {
            let (listener, file) = socket::listen(&path)?;
            self.sockets.push(file);
            self.serve(Listener::Unix(listener))?;
        }
        Ok(())
    }

    fn serve(&mut self, listener: Listener) -> Result<(), Problem> {
        self.servers
            .push(Server::start(Arc::clone(&self.app), listener)?);
        Ok(())
    }

    /// Ends in order: streams first, then the node, and last the servers, which tell until then that it is
    /// draining.
    async fn drain(self, node: &Node) -> Result<Exit, Problem> {
        self.app.enter(Phase::Draining);
        let stopped = node.shutdown().await;
        for server in self.servers {
            server.stop().await;
        }
        drop(self.sockets);
        stopped?;
        tracing::info!("stopped");
        Ok(Exit::Ok)
    }
}
