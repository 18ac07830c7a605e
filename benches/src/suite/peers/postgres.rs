//! A `PostgreSQL` server of our own, as it is installed: clients insert and commit, and its log is synced each time.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Config, NoTls, Statement};

use super::{COUNTERS, INSTALL, Peer, commit};
use crate::Settings;
use crate::callers::{Answered, Caller, Period, Pick, closed_loop};
use crate::child::{Process, program};

/// It takes no orders from root, so that there it runs as this user, whom its package makes.
const USER: &str = "postgres";
/// Tries to reach it, a tenth of a second apart.
const TRIES: usize = 200;

/// The server, in a directory on the measured disk.
pub(super) struct Server {
    runtime: Runtime,
    clients: usize,
    programs: Programs,
    dir: TempDir,
    process: Option<Process>,
}

/// Where its programs are, and as whom they run, unless as ourselves.
struct Programs {
    dir: PathBuf,
    user: Option<(u32, u32)>,
}

impl Programs {
    fn find() -> Result<Self, String> {
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
        let dirs = versions.flatten().map(|entry| entry.path().join("bin"));
        let newest = dirs.filter(|dir| dir.join("initdb").exists()).max();
        let dir = newest.ok_or_else(|| format!("PostgreSQL is not installed: {INSTALL}"))?;
        let root = rustix::process::geteuid().is_root();
        let user = if root { Some(user_ids()?) } else { None };
        Ok(Self { dir, user })
    }

    fn command(&self, name: &str) -> Command {
        let mut command = program(self.dir.join(name));
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    }
}

fn user_ids() -> Result<(u32, u32), String> {
    let users = fs::read_to_string("/etc/passwd").map_err(|error| error.to_string())?;
    let ids = users.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let [name, _, user, group, ..] = fields.as_slice() else {
            return None;
        };
        let ids = (user.parse().ok()?, group.parse().ok()?);
        (*name == USER).then_some(ids)
    });
    ids.ok_or_else(|| format!("there is no user {USER}: {INSTALL}"))
}

impl Server {
    pub(super) fn start(settings: &Settings, clients: usize) -> Result<Self, String> {
        let programs = Programs::find()?;
        let dir = settings.fresh_dir();
        if let Some((user, group)) = programs.user {
            let given = chown(dir.path(), Some(user), Some(group));
            given.map_err(|error| error.to_string())?;
        }
        let data = dir.path().join("data");
        let made = programs
            .command("initdb")
            .args([
                "--auth=trust",
                "--encoding=UTF8",
                "--no-locale",
                "--username",
                USER,
            ])
            .arg("--pgdata")
            .arg(&data)
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .status();
        if !made.is_ok_and(|status| status.success()) {
            let dir = dir.path().display();
            return Err(format!("initdb fails in {dir}, which {USER} must reach"));
        }
        let mut server = programs.command("postgres");
        server.args(["-c", "listen_addresses=", "-c", "max_connections=150"]);
        server.arg("-k").arg(dir.path()).arg("-D").arg(&data);
        let mut process = Process::start(server.current_dir(dir.path()))?;
        process.unheard()?;
        let server = Self {
            runtime: commit::runtime(),
            clients,
            programs,
            dir,
            process: Some(process),
        };
        server.prepare()?;
        Ok(server)
    }

    fn prepare(&self) -> Result<(), String> {
        let table = "CREATE TABLE events (id BIGSERIAL PRIMARY KEY, actor INT NOT NULL, amount INT NOT NULL)";
        let mut failure = String::new();
        for _ in 0..TRIES {
            match self.runtime.block_on(connect(self.dir.path())) {
                Ok(client) => {
                    let made = self.runtime.block_on(client.batch_execute(table));
                    made.map_err(|error| error.to_string())?;
                    return self.check(&client);
                }
                Err(error) => failure = error.to_string(),
            }
            thread::sleep(Duration::from_millis(100));
        }
        Err(format!("PostgreSQL does not answer: {failure}"))
    }

    fn check(&self, client: &Client) -> Result<(), String> {
        for setting in ["fsync", "synchronous_commit"] {
            let asked = async {
                let setting = [&setting as &(dyn tokio_postgres::types::ToSql + Sync)];
                client
                    .query_one("SELECT current_setting($1)", &setting)
                    .await
            };
            let row = self.runtime.block_on(asked);
            let row = row.map_err(|error| error.to_string())?;
            assert_eq!(
                row.get::<_, &str>(0),
                "on",
                "{setting} is what makes it comparable"
            );
        }
        Ok(())
    }
}

async fn connect(socket: &Path) -> Result<Client, tokio_postgres::Error> {
    let mut config = Config::new();
    config.host_path(socket).user(USER).dbname("postgres");
    let (client, connection) = config.connect(NoTls).await?;
    // Its end shows at the client.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

impl Peer for Server {
    fn answered(&mut self, period: Period) -> Result<Answered, String> {
        let insert = "INSERT INTO events (actor, amount) VALUES ($1, 1)";
        let callers = self.runtime.block_on(async {
            let mut callers = Vec::new();
            for caller in 0..self.clients {
                let client = connect(self.dir.path()).await?;
                let insert = client.prepare(insert).await?;
                callers.push(Inserts {
                    client,
                    insert,
                    pick: Pick::of(caller),
                });
            }
            Ok(callers)
        });
        let callers = callers.map_err(|error: tokio_postgres::Error| error.to_string())?;
        Ok(closed_loop(&self.runtime, callers, period, true))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.dir.path().join("data");
        let mut stop = self.programs.command("pg_ctl");
        stop.args(["stop", "--mode=immediate", "--pgdata"])
            .arg(data);
        // What does not stop is killed.
        drop(
            stop.current_dir(self.dir.path())
                .stdout(Stdio::null())
                .status(),
        );
        self.process = None;
    }
}

struct Inserts {
    client: Client,
    insert: Statement,
    pick: Pick,
}

impl Caller for Inserts {
    async fn ask(&mut self) {
        let actor = i32::try_from(self.pick.below(COUNTERS)).expect("it is small");
        let inserted = self.client.execute(&self.insert, &[&actor]).await;
        assert_eq!(inserted.expect("it is committed"), 1);
    }
}
