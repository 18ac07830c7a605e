//! One program: started, listened to, waited for, and ended with all that comes from it.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use steadfast::EffectContext;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::capture::{Capture, Captured};
use super::config::ExecConfig;
use super::effect::{Ended, Program};
use super::lookup::{self, Environment, Launch};
use super::processes::{Mark, Tree};
use super::runs::Going;
use crate::concern::RunId;
use crate::human::Span;

/// How long the rest of the output may take once all processes are gone: somebody else holds the stream.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long the program may take to be gone once it was ended.
const LAST_WAIT: Duration = Duration::from_secs(5);
/// Bytes read at once.
const CHUNK: usize = 8 << 10;

/// Why a program is ended before it ends itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    TimedOut,
    Cancelled,
    /// The node stops, and waits so long for its effects.
    NodeStops(Duration),
}

impl Cut {
    /// How long the program has between SIGTERM and SIGKILL. Where the node stops, there has to be time
    /// enough afterwards to see its end and to journal it.
    fn grace(cut: Option<Self>, config: &ExecConfig) -> Duration {
        let grace = config.grace.duration();
        match cut {
            Some(Self::NodeStops(drain)) => grace.min(drain / 2),
            Some(Self::TimedOut | Self::Cancelled) | None => grace,
        }
    }
}

/// Runs the program to its end.
///
/// # Errors
/// Why it could not be started.
pub(super) async fn run(
    Program { run, config }: &Program,
    node: &Environment,
    mark: Mark,
    going: &mut Going,
    cx: &EffectContext,
) -> Result<Ended, String> {
    let launch = lookup::prepare(config, node)?;
    let mut child = start(&launch, run, config, &mark)?;
    let began = Instant::now();
    let mut tree = Tree::new(mark, child.id());
    tracing::info!(%run, pid = child.id(), command = %config.command, "program started");
    let streams = Streams::listen(&mut child, config);
    let limit = config.timeout.map(Span::duration);
    let (mut status, cut) = tokio::select! {
        status = child.wait() => (Some(status), None),
        () = elapsed(limit) => (None, Some(Cut::TimedOut)),
        () = going.stopped() => (None, Some(Cut::Cancelled)),
        drain = cx.stopping() => (None, Some(Cut::NodeStops(drain))),
    };
    if cut.is_some() {
        tree.signal_group_blindly(Signal::TERM);
    }
    let grace = Cut::grace(cut, config);
    let ending = tokio::task::spawn_blocking(move || {
        let (count, gone) = tree.end(grace);
        (tree, count, gone)
    });
    let (tree, count, gone) = ending.await.map_err(|error| error.to_string())?;
    if status.is_none() {
        tree.signal_group_blindly(Signal::KILL);
        status = timeout(LAST_WAIT, child.wait()).await.ok();
    }
    let (stdout, stderr) = streams.last_words().await;
    let status = match status {
        Some(Ok(status)) => Some(status),
        Some(Err(error)) => {
            tracing::error!(%run, %error, "a program could not be waited for");
            None
        }
        None => None,
    };
    let took_ms = millis(began.elapsed());
    let ended = Ended {
        left_over: if cut.is_none() { count as u64 } else { 0 },
        duration_ms: took_ms,
        stdout,
        stderr,
        ..how(status, gone, cut)
    };
    tracing::info!(%run, code = ended.exit_code, signal = ended.signal, took_ms, "program ended");
    Ok(ended)
}

/// How it ended. `gone` tells whether nothing of it is there any more.
fn how(status: Option<ExitStatus>, gone: bool, cut: Option<Cut>) -> Ended {
    Ended {
        exit_code: status.and_then(|status| status.code()),
        signal: status.and_then(|status| status.signal()),
        timed_out: cut == Some(Cut::TimedOut),
        cancelled: cut == Some(Cut::Cancelled),
        node_stopped: matches!(cut, Some(Cut::NodeStops(_))),
        does_not_end: !gone || status.is_none(),
        ..Ended::default()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

async fn elapsed(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

fn start(launch: &Launch, run: &RunId, config: &ExecConfig, mark: &Mark) -> Result<Child, String> {
    let mut words = launch.words.iter();
    let program = words.next().ok_or("nothing to run")?;
    let mut command = Command::new(program);
    let input = if config.stdin.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    };
    command
        .args(words)
        .current_dir(&launch.dir)
        .env_clear()
        .envs(&launch.env)
        .env("STEADFAST_RUN_ID", run.as_str())
        .envs(mark.variables())
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(group) = launch.group {
        command.gid(group);
    }
    if let Some(user) = launch.user {
        command.uid(user);
    }
    command.spawn().map_err(|error| {
        let as_user = if launch.user.is_some() || launch.group.is_some() {
            "; `user` and `group` need a node that runs as root"
        } else {
            ""
        };
        // Not its arguments, which may be secrets: reasons are shown where commands are not.
        let program = config.command.program();
        format!("{program} could not be started: {error}{as_user}")
    })
}

/// What goes in and comes out.
struct Streams {
    input: Option<JoinHandle<()>>,
    stdout: Listener,
    stderr: Listener,
}

struct Listener {
    capture: Arc<Mutex<Capture>>,
    task: Option<JoinHandle<()>>,
}

impl Streams {
    fn listen(child: &mut Child, config: &ExecConfig) -> Self {
        let limit = usize::try_from(config.output_limit.as_bytes()).unwrap_or(usize::MAX);
        let text = config.stdin.clone().unwrap_or_default();
        let input = child.stdin.take().map(|mut stdin| {
            tokio::spawn(async move {
                // A program need not read what it is given.
                if let Err(error) = stdin.write_all(text.as_bytes()).await {
                    tracing::debug!(%error, "the program did not read all of its input");
                }
            })
        });
        Self {
            input,
            stdout: Listener::new(child.stdout.take(), limit),
            stderr: Listener::new(child.stderr.take(), limit),
        }
    }

    async fn last_words(self) -> (Captured, Captured) {
        if let Some(input) = self.input {
            input.abort();
        }
        tokio::join!(self.stdout.finish(), self.stderr.finish())
    }
}

impl Listener {
    fn new(stream: Option<impl AsyncRead + Send + Unpin + 'static>, limit: usize) -> Self {
        let capture = Arc::new(Mutex::new(Capture::new(limit)));
        let task = stream.map(|stream| tokio::spawn(listen(stream, Arc::clone(&capture))));
        Self { capture, task }
    }

    async fn finish(self) -> Captured {
        if let Some(mut task) = self.task
            && timeout(LAST_WORDS, &mut task).await.is_err()
        {
            task.abort();
        }
        let mut capture = self.capture.lock().unwrap_or_else(PoisonError::into_inner);
        capture.finish()
    }
}

async fn listen(mut stream: impl AsyncRead + Unpin, capture: Arc<Mutex<Capture>>) {
    let mut chunk = vec![0; CHUNK];
    loop {
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                let mut capture = capture.lock().unwrap_or_else(PoisonError::into_inner);
                capture.push(chunk.get(..count).unwrap_or_default());
            }
        }
    }
}
