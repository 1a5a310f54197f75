//! `assay diff`: what differs between two runs of an image.

use crate::manager;
use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::Args;

use super::{
    args::GlobalOptions,
    dispatch,
    live::{self, OnInterrupt},
    option_flags::problem,
    output,
};
use crate::report::{self, ReportStyle};
use assay_config::{
    ConfigProblem, file,
    request::{DiffFormat, DiffRequest, DiffWhat, OutputFormat},
};
use assay_model::{ImageName, RunId, cause, exit::ExitStatus, image_diff::ImageDiff};

/// Say what differs between two runs of an image: packages, kernel, units, ports, accounts, set-id programs, boot time, size
///
/// By default the newest candidate in the commit that is checked out, against gold as that commit's lock says. What is compared is in the evidence of the two
/// runs; nothing is booted. Exits with 0 whether something differs or not, unless --exit-code asks for more.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// Two evidence files, old and new, in place of --image
    #[arg(value_name = "EVIDENCE", num_args = 2, conflicts_with_all = ["image", "run", "against", "at"])]
    files: Vec<PathBuf>,
    /// The image
    #[arg(long, required_unless_present = "files")]
    image: Option<ImageName>,
    /// The run to look at; default: the newest candidate
    #[arg(long, value_name = "RUN")]
    run: Option<RunId>,
    /// What it is compared with: gold, or a run
    #[arg(long, value_name = "gold|RUN", default_value = "gold")]
    against: ComparedWith,
    /// The commit that lock, candidates and evidence are read from; default: the one that is checked out
    #[arg(long, value_name = "COMMIT", default_value = "HEAD")]
    at: String,
    /// Write to this file in place of stdout
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Exit with 2 where something differs, and with 3 where it cannot be said
    #[arg(long)]
    exit_code: bool,
}

/// `gold`, or a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ComparedWith {
    Gold,
    Run(RunId),
}

impl FromStr for ComparedWith {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "gold" => Ok(Self::Gold),
            text => text.parse().map(Self::Run).map_err(|error| format!("{error}, or gold")),
        }
    }
}

/// Checks the flags. Fails with every mistake.
pub(super) fn plan(args: &DiffArgs, globals: &GlobalOptions) -> Result<DiffRequest, Vec<ConfigProblem>> {
    plan_in(args, globals, &dispatch::working_dir()?)
}

/// [`plan`] with the world given.
pub(super) fn plan_in(
    args: &DiffArgs,
    globals: &GlobalOptions,
    working_dir: &Path,
) -> Result<DiffRequest, Vec<ConfigProblem>> {
    let mut problems = Vec::new();
    let mut outputs = globals.diff_outputs().map_err(|wrong| problems.push(wrong)).unwrap_or_default();
    if let Some(path) = &args.output {
        if outputs.iter().any(|(_, file)| file.as_ref() == Some(path)) {
            problems.push(problem("--output", format!("{} is written by --format already", path.display())));
        }
        outputs.iter_mut().filter(|(_, file)| file.is_none()).for_each(|(_, file)| *file = Some(path.clone()));
    }
    if args.at.is_empty() || args.at.starts_with('-') {
        problems.push(problem("--at", format!("{:?} is no commit", args.at)));
    }
    let what = match (&args.image, args.files.as_slice()) {
        (Some(image), []) => {
            let config = file::locate(globals.config.as_deref(), working_dir);
            let folder = config.as_deref().and_then(Path::parent).unwrap_or(working_dir).to_owned();
            let against = match args.against {
                ComparedWith::Gold => None,
                ComparedWith::Run(run) => Some(run),
            };
            Some(DiffWhat::Runs { image: image.clone(), run: args.run, against, at: args.at.clone(), folder })
        }
        (None, [old, new]) => Some(DiffWhat::Files(old.clone(), new.clone())),
        _ => None,
    };
    match what {
        Some(what) if problems.is_empty() => Ok(DiffRequest { what, exit_code: args.exit_code, outputs }),
        _ => Err(problems),
    }
}

/// Compares, and prints what differs.
pub(super) fn execute(request: DiffRequest) -> ExitStatus {
    live::run(OutputFormat::Text, OnInterrupt::End, async move |_events, _cancel| {
        match manager::diff(&request.what).await {
            Ok(found) => shown(&found, &request),
            Err(error) => {
                output::chain(&error);
                error.exit()
            }
        }
    })
}

fn shown(found: &ImageDiff, request: &DiffRequest) -> ExitStatus {
    let mut exit = match request.exit_code {
        true if found.differs() => ExitStatus::Failed,
        true if !found.is_whole() => ExitStatus::Undecided,
        _ => ExitStatus::Done,
    };
    for (format, file) in &request.outputs {
        let text = match rendered(*format, found) {
            Ok(text) => text,
            Err(error) => {
                output::chain(&error);
                return ExitStatus::Undecided;
            }
        };
        match file {
            None => exit = output::result(&text, exit),
            Some(path) => {
                if let Err(error) = report::write_aside(path, text.as_bytes()) {
                    output::error(&format!("{} cannot be written: {}", path.display(), cause::chain(&error)));
                    exit = ExitStatus::Undecided;
                }
            }
        }
    }
    exit
}

fn rendered(format: DiffFormat, found: &ImageDiff) -> Result<String, serde_json::Error> {
    Ok(match format {
        DiffFormat::Text => report::diff::text(found, ReportStyle::plain()),
        DiffFormat::Markdown => report::diff::markdown(found),
        DiffFormat::Json => report::json::pretty(found)?,
        DiffFormat::Jsonl => report::json::line(found)? + "\n",
    })
}
