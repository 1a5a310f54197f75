//! `assay report merge`: the evidence of several runs as one. It owns how evidence files are found; `model::merge` says what may be merged.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{args::GlobalOptions, option_flags::problem, output, results};
use crate::{report, test_run::FinishedRun};
use assay_config::{ConfigProblem, request::MergeRequest};
use assay_model::{
    Evidence,
    exit::ExitStatus,
    merge::{MergeError, merge},
};

/// Put the evidence of several runs together, such as the shares of CI containers
///
/// The verdict is that of the whole. Where a share is missing there is none, and the exit code is 3.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// evidence.json files, or folders with files named evidence*.json in them, at any depth
    #[arg(value_name = "FILE|DIR", required = true)]
    paths: Vec<PathBuf>,
    /// The folder for junit.xml, evidence.json and report.txt of the whole
    #[arg(long, value_name = "DIR")]
    report_dir: Option<PathBuf>,
}

/// Checks the flags. Fails with every mistake.
pub fn plan(args: &MergeArgs, globals: &GlobalOptions) -> Result<MergeRequest, Vec<ConfigProblem>> {
    let outputs = globals.outputs().map_err(|problem| vec![problem])?;
    let missing: Vec<ConfigProblem> = args
        .paths
        .iter()
        .filter(|path| !path.exists())
        .map(|path| problem("merge", format!("there is no {}", path.display())))
        .collect();
    if !missing.is_empty() {
        return Err(missing);
    }
    Ok(MergeRequest { paths: args.paths.clone(), report_dir: args.report_dir.clone(), outputs })
}

/// Merges and prints what the whole amounts to.
pub fn execute(request: MergeRequest) -> ExitStatus {
    let parts = match parts(&request.paths) {
        Ok(parts) => parts,
        Err(message) => {
            output::error(&message);
            return ExitStatus::Usage;
        }
    };
    let evidence = match merge(parts) {
        Ok(evidence) => evidence,
        Err(error) => {
            output::error(&error);
            return match error {
                MergeError::Empty => ExitStatus::Nothing,
                MergeError::Missing { .. } => ExitStatus::Undecided,
                MergeError::Differ { .. } | MergeError::Twice { .. } => ExitStatus::Usage,
            };
        }
    };
    let mut finished = FinishedRun::unrecorded(evidence);
    if let Some(folder) = &request.report_dir {
        match report::write_all(folder, &finished.evidence) {
            Ok(paths) => finished.reports = Some(paths),
            Err(error) => finished.problems.push(assay_model::cause::chain(&error)),
        }
    }
    results::shown(finished, &request.outputs)
}

/// Every evidence file, by its path, in order of their names.
fn parts(paths: &[PathBuf]) -> Result<Vec<(String, Evidence)>, String> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            find(path, 8, &mut files).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            if files.len() == before {
                return Err(format!("{} holds no file named evidence.json or evidence-*.json", path.display()));
            }
        } else {
            files.push(path.clone());
        }
    }
    files.sort();
    files.dedup();
    files.iter().map(|path| read(path)).collect()
}

fn find(folder: &Path, depth: u32, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Links are not followed: a report folder has none of its own, and they could lead in circles.
        let kind = entry.file_type()?;
        if kind.is_dir() && depth > 0 {
            find(&entry.path(), depth - 1, files)?;
        } else if kind.is_file() && is_evidence(&name) {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// `evidence.json`, and `evidence-….json` of further builds: the names that report folders have.
fn is_evidence(name: &str) -> bool {
    name.strip_suffix(".json").is_some_and(|stem| stem == "evidence" || stem.starts_with("evidence-"))
}

fn read(path: &Path) -> Result<(String, Evidence), String> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let evidence =
        serde_json::from_str(&text).map_err(|error| format!("{shown} is no evidence of assay's: {error}"))?;
    Ok((shown, evidence))
}
