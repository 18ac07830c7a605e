//! Restate's server with its defaults, and the counter as a virtual object of its Rust SDK, or of its TypeScript SDK
//! where that one is not built: three processes with the load, as it is meant to run.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::http::Connection;
use super::{INSTALL, commit};
use crate::Settings;
use crate::callers::now;
use crate::child::{Process, peers_directory, program};

/// It must be there after this.
const PATIENCE: Duration = Duration::from_secs(30);

/// Settings that decide it, and the sections of the logs that they are for.
const DURABLE: [&str; 2] = ["rocksdb-disable-wal =", "rocksdb-disable-wal-fsync ="];
const LOGS: [&str; 2] = ["[bifrost.local]", "[log-server]"];

/// Server and service.
pub(super) struct Restate {
    ingress: SocketAddr,
    sdk: &'static str,
    durable: String,
    _server: Process,
    _service: Process,
    /// Goes last.
    _dir: TempDir,
}

impl Restate {
    pub(super) fn start(settings: &Settings) -> Result<Self, String> {
        let installed = Installed::find()?;
        let dir = settings.fresh_dir();
        let [service_at, ingress, admin, between] = free_ports()?;
        let (sdk, mut service) = installed.service();
        let service = serve(service.arg(service_at.port().to_string()))?;
        let durable = durable_settings(&installed.server)?;
        let mut server = program(&installed.server);
        server
            .args(["--no-logo", "--node-name", "bench", "--listen-mode", "tcp"])
            .args(["--advertised-host", "127.0.0.1", "--log-filter", "error"])
            .args(["--bind-address", &between.to_string(), "--base-dir"])
            .arg(dir.path())
            .env("RESTATE_INGRESS__BIND_ADDRESS", ingress.to_string())
            .env("RESTATE_ADMIN__BIND_ADDRESS", admin.to_string())
            .env("RESTATE_DISABLE_TELEMETRY", "true")
            .env("DO_NOT_TRACK", "1")
            .current_dir(dir.path())
            .stderr(Stdio::null());
        let mut server = Process::start(&mut server)?;
        server.unheard()?;
        register(&mut server, admin, service_at, ingress)?;
        Ok(Self {
            ingress,
            sdk,
            durable,
            _server: server,
            _service: service,
            _dir: dir,
        })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.ingress
    }

    /// Which of its settings make an answer durable.
    pub(super) fn durable(&self) -> &str {
        &self.durable
    }

    /// Whose service it is.
    pub(super) const fn sdk(&self) -> &'static str {
        self.sdk
    }
}

/// Which of its defaults make an answer durable, in the server's own words.
fn durable_settings(server: &Path) -> Result<String, String> {
    let dumped = program(server).arg("--dump-config").output();
    let dumped = dumped.map_err(|error| format!("Restate's settings: {error}"))?;
    let text = String::from_utf8_lossy(&dumped.stdout);
    let (mut section, mut found) = ("", Vec::new());
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if DURABLE.iter().any(|name| line.starts_with(name)) && LOGS.contains(&section) {
            found.push(format!("{section} {line}"));
        }
    }
    if found.is_empty() {
        return Err("Restate does not say whether its log is synced".to_owned());
    }
    Ok(found.join(", "))
}

/// Starts the service, and waits until it can be asked.
fn serve(service: &mut Command) -> Result<Process, String> {
    let mut service = Process::start(service.stderr(Stdio::null()))?;
    // It says more on its way.
    while service
        .line()
        .map_err(|why| format!("Restate's service: {why}"))?
        != "ready"
    {}
    service.unheard()?;
    Ok(service)
}

/// What `scripts/peers.sh` has installed.
struct Installed {
    server: PathBuf,
    typescript: PathBuf,
    /// Where it could be built.
    rust: Option<PathBuf>,
}

impl Installed {
    fn find() -> Result<Self, String> {
        let missing = || format!("Restate is not installed: {INSTALL}");
        let peers = peers_directory().ok_or_else(missing)?;
        let arch = if cfg!(target_arch = "aarch64") {
            "arm64"
        } else {
            "x64"
        };
        let server = format!(
            "restate/node_modules/@restatedev/restate-server-linux-{arch}/bin/restate-server"
        );
        let there = |file: &str| Some(peers.join(file)).filter(|file| file.exists());
        Ok(Self {
            server: there(&server).ok_or_else(missing)?,
            typescript: there("restate/counter.mjs").ok_or_else(missing)?,
            rust: there("restate-rust/release/steadfast-peer-restate"),
        })
    }

    /// The faster service that there is, and the name of its SDK.
    fn service(&self) -> (&'static str, Command) {
        if let Some(rust) = &self.rust {
            return ("Rust", program(rust));
        }
        let mut service = program("node");
        service.arg(&self.typescript);
        ("TypeScript", service)
    }
}

/// Ports that are free at the moment.
fn free_ports<const N: usize>() -> Result<[SocketAddr; N], String> {
    let mut held = Vec::new();
    let mut free = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    for address in &mut free {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = bound.map_err(|error| error.to_string())?;
        *address = listener.local_addr().map_err(|error| error.to_string())?;
        held.push(listener);
    }
    Ok(free)
}

/// Tells the server where the service is, and waits until a command is answered.
fn register(
    server: &mut Process,
    admin: SocketAddr,
    service: SocketAddr,
    ingress: SocketAddr,
) -> Result<(), String> {
    let runtime = commit::runtime();
    let deployment = serde_json::json!({ "uri": format!("http://{service}") }).to_string();
    let begin = now();
    for (at, path, body) in [
        (admin, "/deployments", deployment.as_str()),
        (ingress, "/counter/first/add", "1"),
    ] {
        loop {
            let asked = async {
                let mut connection = Connection::open(at).await?;
                connection.post(path, "", body).await
            };
            let within = async { tokio::time::timeout(PATIENCE / 6, asked).await };
            let failure = match runtime.block_on(within) {
                Ok(Ok((200 | 201, _))) => break,
                Ok(Ok((status, body))) => format!("{status} {body}"),
                Ok(Err(error)) => error.to_string(),
                Err(late) => late.to_string(),
            };
            if begin.elapsed() > PATIENCE || !server.runs() {
                return Err(format!("Restate does not answer {path}: {failure}"));
            }
            thread::sleep(Duration::from_millis(200));
        }
    }
    Ok(())
}
