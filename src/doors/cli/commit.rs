//! `assay commit`: a manifest's run, recorded in git.

use std::path::PathBuf;

use clap::Args;

use super::{args::Globals, dispatch, option_flags::problem};
use crate::{config::Problem, config::request::CommitRequest, exit::Exit, model::RunId};

/// Record the AMIs of a manifest in git: candidate file, evidence, annotated tag, one atomic push
///
/// Running it again changes nothing. It never forces a push.
#[derive(Debug, Args)]
pub struct CommitArgs {
    /// The manifest that assay wrote
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// The branch to push to; default: the one that is checked out, or the CI job's
    #[arg(long)]
    branch: Option<String>,
    /// The remote to push to; default: the branch's own, else origin
    #[arg(long)]
    remote: Option<String>,
    /// Commit and tag, but do not push
    #[arg(long)]
    no_push: bool,
    /// Another run of the manifest than its last
    #[arg(long, value_name = "ULID")]
    run: Option<RunId>,
}

/// Checks the flags. Fails with every mistake.
pub fn plan(args: &CommitArgs, globals: &Globals) -> Result<CommitRequest, Vec<Problem>> {
    let mut problems = Vec::new();
    if let Err(error) = std::fs::File::open(&args.manifest) {
        problems.push(problem("--manifest", format!("cannot read {}: {error}", args.manifest.display())));
    }
    for (flag, name) in [("--branch", &args.branch), ("--remote", &args.remote)] {
        if let Some(name) = name.as_ref().filter(|name| !is_ref_part(name)) {
            problems.push(problem(flag, format!("{name:?} is not a name that git takes")));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(CommitRequest {
        manifest: args.manifest.clone(),
        run: args.run,
        branch: args.branch.clone(),
        remote: args.remote.clone(),
        push: !args.no_push,
        format: globals.format.into(),
    })
}

/// Hands the request to the conductor.
pub fn execute(request: CommitRequest) -> Exit {
    dispatch::finished(crate::run::commit(request))
}

/// What git could take for an option or would refuse (git-check-ref-format), as far as it is a danger; git itself says the rest.
fn is_ref_part(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('-')
        && !name.contains("..")
        && !name.contains(|c: char| c.is_whitespace() || c.is_control())
}
