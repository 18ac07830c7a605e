//! Goal: whichever step of commit, index, snapshot, recovery, latch, opening or end is the last one, nothing that was
//! acknowledged is lost, doubled or half done, and the directory opens again.
//!
//! Method: the victim ends itself at a named point (`steadfast::failpoints`), as `kill -9` would, at a count that is
//! drawn; all laws are judged on what it leaves, and its next life, with another point, is the reopening. Points that
//! only a failing sync, a damaged snapshot or a lost log lead to are given that. A point that is never reached fails
//! the test by its name.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::process::Command;
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use steadfast::journal::Error;
use steadfast::{Clock, NodeError, SystemClock, failpoints};
use steadfast_tests::{Dice, History};

use crate::harness::{
    Place, Victim, asked_again, can_trace, check_all, copy_tree, proved, read_tree, reopen, say,
    say_case, scaled, seed, settle_and_check, tries,
};
use crate::transfers::ends_while_transferring;

/// Directories at the same time.
const AT_ONCE: usize = 2;
/// Lives in one directory, so that judging it stays cheap.
const LIVES: usize = 12;
/// What the load has for reaching a point; then an orderly end, which reaches the rest.
const UNDER_LOAD: Duration = Duration::from_secs(10);
/// Ends within which answers that left too early must be found out.
const CONTROLS: u64 = 20;
/// Lives within which a point must be come by.
const GOES: u64 = 4;
/// Longest that an end may take.
const ENDING: Duration = Duration::from_secs(60);

/// How often the load comes by the points that begin so, within a second or so; the others are passed once in a life.
const OFTEN: [(&str, u64); 17] = [
    ("commit.", 300),
    ("mark.writing", 300),
    ("mark.written", 300),
    ("mark.", 2),
    ("flush.", 3),
    ("batch.", 300),
    ("index.", 6),
    ("run.", 6),
    ("tidy.", 3),
    ("snapshot.put", 200),
    ("recovery.", 500),
    ("effect.started", 8),
    ("effect.ran", 60),
    ("effect.handed_over", 60),
    ("message.found", 1),
    ("message.read", 3),
    ("message.", 300),
];

fn most(point: &str) -> u64 {
    let found = OFTEN.iter().find(|(start, _)| point.starts_with(start));
    found.map_or(1, |(_, most)| *most)
}

#[test]
fn every_point_is_in_the_sources_and_in_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    let mut found = BTreeSet::new();
    for folder in ["journal", "snapshots", "runtime"] {
        for (path, content) in read_tree(&root.join(folder).join("src")) {
            if path.extension().is_some_and(|kind| kind == "rs") {
                let text = String::from_utf8(content.unwrap_or_default()).expect("text");
                let named = text.split("failpoint!(\"").skip(1);
                found.extend(named.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
            }
        }
    }
    let listed: BTreeSet<String> = failpoints::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(listed.len(), failpoints::ALL.len(), "each is there once");
    assert_eq!(found, listed);
}

#[test]
fn an_end_at_any_point_loses_and_doubles_nothing() {
    let test = "an_end_at_any_point";
    let seed = seed(test);
    let all = failpoints::ALL.len() as u64;
    let rounds = tries(all, scaled(all, 20 * all)).div_ceil(all);
    let traces = can_trace(test);
    // They wait for the disk most of the time.
    let runs: Vec<Run> = std::thread::scope(|scope| {
        let players = (0..AT_ONCE).map(|part| {
            let points = failpoints::ALL.iter().skip(part).step_by(AT_ONCE);
            let points: Vec<&str> = points.copied().collect();
            let run = Run::new(seed.wrapping_add(part as u64), traces);
            scope.spawn(move || run.play(rounds, &points))
        });
        let players: Vec<_> = players.collect();
        let played = players.into_iter().map(ScopedJoinHandle::join);
        played
            .map(|run| run.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    let missed: Vec<&String> = runs.iter().flat_map(|run| &run.missed).collect();
    assert!(missed.is_empty(), "never reached: {missed:?}");
    let done = runs.iter().map(|run| run.done).sum();
    say(&format!("{test}: {done} ends at {all} points"));
    proved("failpoints", done);
}

/// Control: answers that leave before the sync. Whether one is written down before the end is a matter of moments.
#[test]
fn an_answer_before_its_sync_is_found_out() {
    let seed = seed("an_answer_before_its_sync");
    let mut dice = Dice::new(seed);
    let found = (0..CONTROLS).find(|_| {
        let mut chain = Chain::new();
        let armed = Armed {
            mutant: Some("ack_before_sync"),
            ..armed("commit.sealed", 20 + dice.roll(100))
        };
        let mut victim = chain.live(&armed, seed);
        assert!(
            victim.kills_itself_within(UNDER_LOAD),
            "it comes by the point"
        );
        drop(victim);
        catch_unwind(AssertUnwindSafe(|| chain.judge())).is_err()
    });
    let ends = found.expect("acknowledged operations that are not there") + 1;
    say(&format!(
        "an_answer_before_its_sync: found out after {ends} ends"
    ));
}

/// Lives of the victim in one directory.
struct Chain {
    place: Place,
    history: History,
    lives: usize,
}

struct Run {
    seed: u64,
    dice: Dice,
    traces: bool,
    chain: Option<Chain>,
    missed: Vec<String>,
    done: u64,
}

impl Run {
    fn new(seed: u64, traces: bool) -> Self {
        Self {
            seed,
            dice: Dice::new(seed),
            traces,
            chain: None,
            missed: Vec::new(),
            done: 0,
        }
    }

    fn play(mut self, rounds: u64, all: &[&str]) -> Self {
        for _ in 0..rounds {
            let mut points = all.to_vec();
            while !points.is_empty() {
                let drawn = usize::try_from(self.dice.roll(points.len() as u64)).expect("small");
                self.one(points.swap_remove(drawn));
            }
        }
        self.end_chain();
        self
    }

    fn one(&mut self, point: &str) {
        let count = 1 + self.dice.roll(most(point));
        let begun = SystemClock::new().running();
        let kind = point.split_once('.').map(|(kind, _)| kind);
        if kind == Some("latch") && !self.traces {
            return;
        }
        let ending = AssertUnwindSafe(|| match kind {
            Some("create") => self.in_a_new_directory(point),
            // Only the transfers have any.
            Some("message") => {
                ends_while_transferring(&format!("{point}:{count}"), UNDER_LOAD / 4, self.seed)
            }
            _ if point == "open.refusing" || point == "open.refused" => self.while_refusing(point),
            _ => self.in_one_of_the_next_lives(point, count),
        });
        let reached = catch_unwind(ending).unwrap_or_else(|panic| {
            say(&format!("after an end at {point}:{count}"));
            resume_unwind(panic)
        });
        let took = SystemClock::new().running().saturating_sub(begun);
        say_case(|| format!("{point}:{count} {} ms", took.as_millis()));
        self.done += 1;
        if !reached {
            self.missed.push(format!("{point}:{count}"));
        }
    }

    /// Nothing was ever acknowledged there; the next opening goes on with what it finds.
    fn in_a_new_directory(&mut self, point: &str) -> bool {
        let mut chain = Chain::new();
        let reached = chain
            .live(&armed(point, 1), self.seed)
            .kills_itself_within(UNDER_LOAD);
        chain.unharmed(self.seed);
        chain.judge();
        reached
    }

    /// A sync that fails may be one of the opening, which then ends before there is anything to latch.
    fn in_one_of_the_next_lives(&mut self, point: &str, count: u64) -> bool {
        (0..GOES).any(|_| self.in_the_next_life(point, count))
    }

    fn in_the_next_life(&mut self, point: &str, count: u64) -> bool {
        if self
            .chain
            .as_ref()
            .is_some_and(|chain| chain.lives >= LIVES)
        {
            self.end_chain();
        }
        let seed = self.seed;
        let chain = self.chain.get_or_insert_with(|| {
            let mut chain = Chain::new();
            chain.unharmed(seed);
            chain
        });
        let (kind, _) = point.split_once('.').expect("two words");
        if kind == "snapshots" {
            let note = chain.place.dir.join("snapshots.damaged");
            std::fs::write(note, "on purpose").expect("a note");
        }
        let armed = Armed {
            // Beyond those of the opening.
            sync_fails: (kind == "latch").then(|| 30 + self.dice.roll(40)),
            ..armed(point, count)
        };
        let mut victim = chain.live(&armed, seed);
        if kind == "close" || kind == "stop" {
            victim.wait_for("ready");
            victim.ask_to_stop();
        }
        let mut reached = victim.kills_itself_within(UNDER_LOAD);
        if !reached {
            victim.ask_to_stop();
            reached = victim.kills_itself_within(ENDING);
        }
        if !reached {
            say(&format!(
                "{point}:{count} was not reached: {:?}",
                victim.heard()
            ));
        }
        drop(victim);
        chain.judge();
        reached
    }

    /// A journal that went back in time is refused, and put back as it was. Cut off in the middle of that it is refused
    /// again; with its newest state it opens.
    fn while_refusing(&mut self, point: &str) -> bool {
        let mut chain = Chain::new();
        chain.unharmed(self.seed);
        let older = chain.place.copy("older");
        chain.unharmed(self.seed);
        let newest = chain.place.copy("newest");
        replace(&older.join("journal"), &chain.place.dir.join("journal"));
        let reached = chain
            .live(&armed(point, 1), self.seed)
            .kills_itself_within(UNDER_LOAD);
        let refused = reopen(&chain.place.dir, &chain.place.open_record());
        let behind = matches!(&refused, Err(NodeError::Journal(Error::BehindMark { .. })));
        assert!(behind, "{refused:?}");
        let left = read_tree(&chain.place.dir.join("journal"));
        let before = read_tree(&older.join("journal"));
        assert_eq!(
            left.keys().collect::<Vec<_>>(),
            before.keys().collect::<Vec<_>>()
        );
        replace(&newest.join("journal"), &chain.place.dir.join("journal"));
        chain.unharmed(self.seed);
        chain.judge();
        reached
    }

    fn end_chain(&mut self) {
        if let Some(Chain {
            place, mut history, ..
        }) = self.chain.take()
        {
            settle_and_check("an_end_at_any_point", &place, &mut history);
        }
    }
}

/// What a life of the victim is given.
struct Armed {
    point: String,
    /// Which sync fails, counted in each thread.
    sync_fails: Option<u64>,
    /// A mistake that it makes.
    mutant: Option<&'static str>,
}

fn armed(point: &str, count: u64) -> Armed {
    Armed {
        point: format!("{point}:{count}"),
        sync_fails: None,
        mutant: None,
    }
}

impl Chain {
    fn new() -> Self {
        Self {
            place: Place::new(),
            history: History::default(),
            lives: 0,
        }
    }

    fn live(&mut self, armed: &Armed, seed: u64) -> Victim {
        let victim = env!("CARGO_BIN_EXE_victim");
        let mut command = match armed.sync_fails {
            None => Command::new(victim),
            Some(nth) => {
                let mut strace = Command::new("strace");
                strace
                    .args(["-f", "-qq", "--seccomp-bpf", "-o", "/dev/null"])
                    .args(["-e", "trace=fdatasync", "-e"])
                    .arg(format!("inject=fdatasync:error=EIO:when={nth}"))
                    .arg(victim);
                strace
            }
        };
        command
            .env("STEADFAST_FAILPOINT", &armed.point)
            .env("STEADFAST_BUSY", "yes");
        if let Some(mutant) = armed.mutant {
            command.env("STEADFAST_MUTANT", mutant);
        }
        self.lives += 1;
        let life = self.lives as u64;
        let again = asked_again(&self.history);
        Victim::load_with(command, &self.place, (life, seed, 0), &again)
    }

    /// A life that is killed from outside, after it was of use.
    fn unharmed(&mut self, seed: u64) {
        self.lives += 1;
        let life = self.lives as u64;
        let mut victim = Victim::load(&self.place, life, seed, &asked_again(&self.history));
        victim.wait_for("answers");
        victim.kill();
        self.history.read_on(&self.place.record);
    }

    #[track_caller]
    fn judge(&mut self) {
        self.history.read_on(&self.place.record);
        if !self.history.acknowledged.is_empty() {
            check_all(&self.place.dir, &self.place, &self.history, false);
        }
    }
}

fn replace(from: &Path, to: &Path) {
    std::fs::remove_dir_all(to).expect("it is removed");
    copy_tree(from, to);
}
