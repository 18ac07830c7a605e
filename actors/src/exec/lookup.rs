//! From a configuration to what can be started: the environment, the program's file, user and group.
//!
//! Everything is looked up before each start, and what is missing is said by name: the error of a failed
//! start does not tell a missing program from a missing directory.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::command::CommandLine;
use super::config::{ExecConfig, Limits};

/// The `PATH` of a program that is given no other.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The node's own environment, as far as programs may have it by `env_keep` and patrols by `headers_env`: a resource for
/// `NodeBuilder::resource`. Without it, nothing is kept.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// These names and values, such as those of `std::env::vars_os`.
    #[must_use]
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// The value of a variable.
    #[cfg(feature = "http")]
    pub(crate) fn get(&self, name: &str) -> Option<&std::ffi::OsStr> {
        self.0
            .get(std::ffi::OsStr::new(name))
            .map(OsString::as_os_str)
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// All that starting a program takes.
pub(super) struct Launch {
    /// The file to execute and its arguments.
    pub(super) words: Vec<OsString>,
    pub(super) dir: PathBuf,
    pub(super) env: BTreeMap<OsString, OsString>,
    pub(super) user: Option<u32>,
    pub(super) group: Option<u32>,
}

/// Looks everything up.
///
/// # Errors
/// What is missing, and where it was looked for.
pub(super) fn prepare(config: &ExecConfig, node: &Environment) -> Result<Launch, String> {
    let env = environment(config, node);
    let dir = config.dir.as_deref().unwrap_or("/");
    match std::fs::metadata(dir) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return Err(format!("dir: {dir} is no directory")),
        Err(error) => return Err(format!("dir: {dir}: {error}")),
    }
    let (user, group) = identity(config)?;
    let mut words = wrappers(config.limits)?;
    match &config.command {
        CommandLine::Script(text) => {
            words.extend(["/bin/sh", "-c", text].map(OsString::from));
        }
        CommandLine::Words(given) => {
            let mut given = given.iter();
            let program = given.next().map(String::as_str).unwrap_or_default();
            words.push(find(program, &env)?.into_os_string());
            words.extend(given.map(OsString::from));
        }
    }
    Ok(Launch {
        words,
        dir: dir.into(),
        env,
        user,
        group,
    })
}

fn environment(config: &ExecConfig, node: &Environment) -> BTreeMap<OsString, OsString> {
    let mut env = BTreeMap::from([("PATH".into(), PATH.into())]);
    let kept = config.env_keep.iter().map(OsString::from);
    env.extend(
        kept.filter_map(|name| node.0.get_key_value(&name))
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    let set = config.env.0.iter();
    env.extend(set.map(|(name, value)| (name.into(), value.into())));
    env
}

/// The file of a program.
fn find(program: &str, env: &BTreeMap<OsString, OsString>) -> Result<PathBuf, String> {
    if program.contains('/') {
        let path = PathBuf::from(program);
        return match executable(&path) {
            Ok(()) => Ok(path),
            Err(problem) => Err(format!("{program} {problem}")),
        };
    }
    let path = env
        .get("PATH".as_ref() as &std::ffi::OsStr)
        .cloned()
        .unwrap_or_default();
    let candidates = std::env::split_paths(&path).filter(|dir| dir.is_absolute());
    let mut found_without_right = None;
    for candidate in candidates.map(|dir| dir.join(program)) {
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(problem) if candidate.exists() => {
                found_without_right.get_or_insert(format!("{} {problem}", candidate.display()));
            }
            Err(_) => {}
        }
    }
    let path = path.to_string_lossy();
    Err(found_without_right
        .unwrap_or_else(|| format!("no program {program:?} in the PATH, which is {path}")))
}

/// Whether a file can be executed by somebody; whether by us is for the system to say.
fn executable(path: &Path) -> Result<(), String> {
    match std::fs::metadata(path) {
        Ok(meta) if !meta.is_file() => Err("is no file".to_owned()),
        Ok(meta) if meta.permissions().mode() & 0o111 == 0 => {
            Err("is not executable: chmod +x".to_owned())
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err("does not exist".to_owned())
        }
        Err(error) => Err(format!("cannot be looked at: {error}")),
    }
}

/// What comes before the program to set its limits: each sets its own and becomes the next.
fn wrappers(limits: Limits) -> Result<Vec<OsString>, String> {
    let mut words = Vec::new();
    let Limits {
        memory,
        cpu_time,
        open_files,
        processes,
        nice,
    } = limits;
    if let Some(nice) = nice {
        words.extend([tool("nice")?, "-n".into(), nice.to_string().into()]);
    }
    let both = |name: &str, value: u64| format!("--{name}={value}:{value}");
    let options = [
        memory.map(|size| both("as", size.as_bytes())),
        // The first limit is a signal that can be handled, the second one is the end.
        cpu_time.map(|time| {
            let secs = time.duration().as_secs();
            format!("--cpu={secs}:{}", secs.saturating_add(1))
        }),
        open_files.map(|count| both("nofile", count)),
        processes.map(|count| both("nproc", count)),
    ];
    let mut options = options.into_iter().flatten().map(OsString::from).peekable();
    if options.peek().is_some() {
        words.push(tool("prlimit")?);
        words.extend(options);
        words.push("--".into());
    }
    Ok(words)
}

/// A program of the system, whatever the PATH says.
fn tool(name: &str) -> Result<OsString, String> {
    let places = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    let found = places
        .iter()
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.is_file());
    found.map(PathBuf::into_os_string).ok_or_else(|| {
        format!("limits: no program {name} in {}: install util-linux and coreutils, or leave `limits` out", places.join(", "))
    })
}

/// User and group by number.
fn identity(config: &ExecConfig) -> Result<(Option<u32>, Option<u32>), String> {
    let user = config
        .user
        .as_deref()
        .map(|name| entry("user", "/etc/passwd", name))
        .transpose()?;
    let group = config
        .group
        .as_deref()
        .map(|name| entry("group", "/etc/group", name))
        .transpose()?;
    let own_group = user.as_ref().and_then(|user| user.group);
    let group = group.map(|group| group.number).or(own_group);
    if let (Some(name), None) = (&config.user, group) {
        // It would keep the node's group, which is root's.
        return Err(format!(
            "user: {name:?} has no entry with a group in /etc/passwd: set `group` as well"
        ));
    }
    Ok((user.map(|user| user.number), group))
}

/// A line of `/etc/passwd` or `/etc/group`.
struct Entry {
    number: u32,
    /// The group of a user that is known by name.
    group: Option<u32>,
}

fn entry(key: &str, file: &str, wanted: &str) -> Result<Entry, String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    for line in text.lines() {
        let mut fields = line.split(':');
        let name = fields.next();
        let number = fields.nth(1).and_then(|field| field.parse().ok());
        let Some(number) =
            number.filter(|number: &u32| name == Some(wanted) || wanted.parse() == Ok(*number))
        else {
            continue;
        };
        let group = fields.next().and_then(|field| field.parse().ok());
        return Ok(Entry {
            number,
            group: group.filter(|_| key == "user"),
        });
    }
    match wanted.parse() {
        Ok(number) => Ok(Entry {
            number,
            group: None,
        }),
        Err(_) => Err(format!("{key}: {wanted:?} is not in {file}")),
    }
}
