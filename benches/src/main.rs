//! `steadfast-bench`: every claim of speed, measured beside its limit or its peer in the same run.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use steadfast_benches::suite::{SUBCOMMANDS, child, targets};
use steadfast_benches::{Machine, Outcome, Settings};

/// Measures steadfast; each figure stands beside its limit or peer from the same run.
#[derive(Debug, Parser)]
#[command(name = "steadfast-bench", version)]
struct Arguments {
    /// What to measure: `targets`, `all`, or one subject (`list` shows them).
    subject: String,
    /// At most a minute for each subject, with fewer runs and sizes.
    #[arg(long)]
    quick: bool,
    /// Runs of each measurement; the median counts.
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
    let settings = Settings {
        quick: arguments.quick,
        runs: arguments
            .runs
            .unwrap_or(if arguments.quick { 3 } else { 5 })
            .max(1),
        dir: arguments
            .dir
            .unwrap_or_else(steadfast_benches::parent_directory),
        only: arguments.only,
        hours: arguments.hours,
        plots: arguments.plots,
    };
    if arguments.subject == "list" {
        for (name, about, _) in SUBCOMMANDS {
            println!("{name:<12} {about}");
        }
        return ExitCode::SUCCESS;
    }
    let machine = Machine::around(&settings.dir);
    if arguments.output == Form::Markdown {
        println!("```text\n{machine}\n```\n");
    }
    let mut outcomes = Vec::new();
    let mut known = false;
    if arguments.subject == "targets" {
        known = true;
        outcomes.extend(targets(&settings));
        if arguments.output == Form::Markdown {
            println!("{}", Outcome::table(&outcomes));
        }
    }
    for (name, about, run) in SUBCOMMANDS {
        let wanted = arguments.subject == *name || (arguments.subject == "all" && *name != "soak");
        if !wanted {
            continue;
        }
        known = true;
        eprintln!("{name}: {about}");
        let of_this = run(&settings);
        if arguments.output == Form::Markdown {
            println!("## {name}\n\n{about}\n\n{}", Outcome::table(&of_this));
        }
        outcomes.extend(of_this);
    }
    if !known {
        eprintln!(
            "there is no subject {:?}: `steadfast-bench list` shows them",
            arguments.subject
        );
        return ExitCode::from(2);
    }
    if arguments.output == Form::Json {
        println!("{}", Outcome::json(&outcomes));
    }
    ExitCode::SUCCESS
}
