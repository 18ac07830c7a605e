//! `steadfast-bench`: every claim of speed, measured beside its limit or its peer in the same run.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use steadfast_benches::load::now;
use steadfast_benches::suite::{APART, SUBCOMMANDS, child, targets};
use steadfast_benches::{Machine, Outcome, Settings};

/// As the agent has it, and for all sides alike.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures steadfast; each figure stands beside its limit or peer from the same run.
#[derive(Debug, Parser)]
#[command(name = "steadfast-bench", version)]
struct Arguments {
    /// What to measure: `targets`, `all`, or one subject (`list` shows them).
    subject: String,
    /// At most a minute for each subject, with shorter runs and smaller sizes.
    #[arg(long)]
    quick: bool,
    /// Runs of each measurement; the median counts. Default: 5.
    #[arg(long)]
    runs: Option<usize>,
    /// Measure below this directory, which should be on the disk that matters. Default: `STEADFAST_BENCH_DIR`, or the
    /// system's temporary directory.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Only the targets whose names contain this.
    #[arg(long)]
    only: Option<String>,
    /// Hours that `soak` lasts.
    #[arg(long, default_value_t = 1.0)]
    hours: f64,
    /// Have `scale` measure nothing but this many GB on the disk against one.
    #[arg(long)]
    gb: Option<u64>,
    /// Write plots (SVG) into this directory.
    #[arg(long)]
    plots: Option<PathBuf>,
    /// Form of the result.
    #[arg(short, long, value_enum, default_value_t = Form::Markdown)]
    output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Markdown,
    Json,
}

fn main() -> ExitCode {
    if let Some(done) = child() {
        return done;
    }
    let raw: Vec<String> = std::env::args().skip(1).collect();
    if let Some(code) = steadfast_benches::suite::in_child(&raw) {
        return code;
    }
    let arguments = Arguments::parse();
    if arguments.subject == "list" {
        for (name, about, _) in SUBCOMMANDS {
            println!("{name:<12} {about}");
        }
        return ExitCode::SUCCESS;
    }
    let form = arguments.output;
    let subject = arguments.subject.clone();
    let known = ["targets", "all"].contains(&subject.as_str())
        || SUBCOMMANDS.iter().any(|(name, ..)| *name == subject);
    if !known {
        eprintln!("there is no subject {subject:?}: `steadfast-bench list` shows them");
        return ExitCode::from(2);
    }
    let outcomes = measure(&subject, form, &settings(arguments));
    if form == Form::Json {
        println!("{}", Outcome::json(&outcomes));
    }
    // Times depend on the machine, and are only told. What grows for hours is wrong on any.
    if subject == "soak" && outcomes.iter().any(Outcome::is_missed) {
        eprintln!("{}", Outcome::summary(&outcomes));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn settings(arguments: Arguments) -> Settings {
    Settings {
        quick: arguments.quick,
        runs: arguments.runs.unwrap_or(5).max(1),
        dir: arguments
            .dir
            .unwrap_or_else(steadfast_benches::parent_directory),
        only: arguments.only,
        hours: arguments.hours,
        gb: arguments.gb,
        plots: arguments.plots,
    }
}

/// Prints as it goes, unless JSON is wanted, which is printed as a whole.
fn measure(subject: &str, form: Form, settings: &Settings) -> Vec<Outcome> {
    let markdown = form == Form::Markdown;
    if markdown {
        println!("```text\n{}\n```\n", Machine::around(&settings.dir));
    }
    if subject == "targets" {
        let outcomes = targets(settings);
        if markdown {
            println!(
                "{}\n{}",
                Outcome::table(&outcomes),
                Outcome::summary(&outcomes)
            );
        }
        return outcomes;
    }
    let mut outcomes = Vec::new();
    for (name, about, run) in SUBCOMMANDS {
        if subject == *name || (subject == "all" && !APART.contains(name)) {
            eprint!("{name}: {about} ... ");
            let begun = now();
            let of_this = run(settings);
            eprintln!("{:.0} s", begun.elapsed().as_secs_f64());
            if markdown {
                println!("## {name}\n\n{about}\n\n{}", Outcome::table(&of_this));
            }
            outcomes.extend(of_this);
        }
    }
    outcomes
}
