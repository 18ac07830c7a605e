//! The sections of the file, except for the concerns: types that only hold what can be served.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use steadfast_actors::concern::{Missed, Overlap};
use steadfast_actors::human::Span;

/// The whole file. Sections that are read apart are here so that their names are known.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[expect(dead_code, reason = "checked before everything else")]
    version: Option<IgnoredAny>,
    #[serde(default)]
    pub(super) node: NodeSection,
    #[serde(default)]
    pub(super) http: HttpSection,
    #[serde(default)]
    pub(super) telemetry: Telemetry,
    #[expect(dead_code, reason = "merged into each concern")]
    #[serde(default)]
    defaults: Defaults,
    #[expect(dead_code, reason = "read one by one")]
    #[serde(default)]
    concerns: AnyTable,
}

/// Any table.
#[derive(Debug, Default, Deserialize)]
struct AnyTable {}

/// `[defaults]`: what a concern inherits unless it says otherwise.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "merged into each concern")]
struct Defaults {
    missed: Option<Missed>,
    overlap: Option<Overlap>,
    timezone: Option<String>,
    jitter: Option<Span>,
    timeout: Option<Span>,
}

/// `[node]`: who this node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NodeSection {
    /// Default: the host's name.
    #[serde(deserialize_with = "node_name")]
    pub(crate) name: String,
    /// Where the node keeps its data, absolute. The command line may say it instead.
    pub(crate) data_dir: Option<PathBuf>,
    /// Free names and values.
    pub(crate) labels: BTreeMap<String, String>,
}

impl Default for NodeSection {
    fn default() -> Self {
        Self {
            name: host_name(),
            data_dir: None,
            labels: BTreeMap::new(),
        }
    }
}

/// `[http]`: where the node can be reached, beside the socket in its data directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HttpSection {
    /// Default: nowhere else.
    #[serde(deserialize_with = "distinct")]
    pub(crate) listen: Vec<Listen>,
}

/// `[telemetry]`: how the node speaks of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Telemetry {
    /// Default: auto.
    pub(crate) log: LogFormat,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// Pretty on a terminal, for the journal of systemd where that reads, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Pretty,
    /// A JSON object a line.
    Json,
    /// Lines with priorities, for the journal of systemd.
    Journald,
}

/// One address to serve HTTP at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Listen {
    /// A loopback address.
    Tcp(SocketAddr),
    /// The absolute path of a unix socket that the system can bind.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a text is no address that can be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidListen {
    /// It is no address at all.
    #[error(
        "{text:?} is not an address: write \"127.0.0.1:7600\", \"[::1]:7600\" or \"unix:/run/steadfast.sock\""
    )]
    Unreadable {
        /// What was given.
        text: String,
    },
    /// Others could reach it.
    #[error(
        "{address} is not a loopback address, and only those are served for now: write \"{loopback}\" and put a proxy in front"
    )]
    NotLoopback {
        /// What was given.
        address: SocketAddr,
        /// The same port for this host only.
        loopback: SocketAddr,
    },
    /// The system refuses such a path.
    #[error(
        "a socket path of {bytes} bytes is too long: the system takes {MAX_SOCKET_PATH_BYTES} at most"
    )]
    LongPath {
        /// Its length.
        bytes: usize,
    },
}

/// Longest path of a unix socket: `sun_path` has 108 bytes, the last one a NUL.
const MAX_SOCKET_PATH_BYTES: usize = 107;

impl FromStr for Listen {
    type Err = InvalidListen;

    fn from_str(text: &str) -> Result<Self, InvalidListen> {
        let unreadable = || InvalidListen::Unreadable {
            text: text.to_owned(),
        };
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.len() {
                bytes if bytes > MAX_SOCKET_PATH_BYTES => Err(InvalidListen::LongPath { bytes }),
                _ if path.contains('\0') || path.ends_with('/') => Err(unreadable()),
                _ if Path::new(path).is_absolute() => Ok(Self::Unix(path.into())),
                _ => Err(unreadable()),
            };
        }
        let address: SocketAddr = text.parse().map_err(|_| unreadable())?;
        if address.ip().is_loopback() {
            return Ok(Self::Tcp(address));
        }
        let loopback = SocketAddr::from(([127, 0, 0, 1], address.port()));
        Err(InvalidListen::NotLoopback { address, loopback })
    }
}

impl TryFrom<String> for Listen {
    type Error = InvalidListen;

    fn try_from(text: String) -> Result<Self, InvalidListen> {
        text.parse()
    }
}

fn distinct<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Listen>, D::Error> {
    let all = Vec::<Listen>::deserialize(deserializer)?;
    let mut seen = HashSet::new();
    match all.iter().find(|one| !seen.insert(*one)) {
        Some(twice) => Err(D::Error::custom(format!("{twice} is listed twice"))),
        None => Ok(all),
    }
}

fn node_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=64).contains(&name.len()) && name.chars().all(valid) {
        return Ok(name);
    }
    Err(D::Error::custom(format!(
        "{name:?} is not a node's name: write 1 to 64 letters, digits, `-`, `_` or `.`"
    )))
}

/// The host's name, or `localhost` where the system does not tell.
fn host_name() -> String {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let mut names = files
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok());
    let name = names.find_map(|name| name.lines().next().map(|line| line.trim().to_owned()));
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}
