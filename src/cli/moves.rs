//! `assay reject`, `retire`, `revoke` and `rollback`: moves of the lock that rest on a reason.

use std::path::Path;

use clap::Args;

use super::{
    args::GlobalOptions,
    dispatch,
    live::{self, OnInterrupt},
    option_flags::problem,
    promote::{LedgerFlags, declared, shown},
};
use crate::manager::promotion;
use assay_config::{
    ConfigProblem,
    promotion_request::{MoveRequest, RunMove},
};
use assay_model::{ImageName, RunId, exit::ExitStatus};

/// Reject a run: it did not pass what it should
#[derive(Debug, Args)]
pub struct RejectArgs {
    #[command(flatten)]
    run: RunFlags,
    /// Also lift deregistration protection from its AMIs, whoever turned it on
    #[arg(long)]
    release: bool,
    #[command(flatten)]
    ledger: LedgerFlags,
}

/// Set a run aside: nothing is wrong with it, and it is not to become gold
#[derive(Debug, Args)]
pub struct RetireArgs {
    #[command(flatten)]
    run: RunFlags,
    #[command(flatten)]
    ledger: LedgerFlags,
}

/// Revoke a run: its AMIs must not be used any more
///
/// They are deprecated and no longer shared from then on. Instances that run are not touched.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    #[command(flatten)]
    run: RunFlags,
    /// From when on, RFC 3339 like 2026-12-01T00:00:00Z; default: at once
    #[arg(long, value_name = "TIME")]
    at: Option<jiff::Timestamp>,
    /// Even if it is gold: then nothing is gold
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    ledger: LedgerFlags,
}

/// Go back to what was gold before; what is gold now is retired
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// The image
    #[arg(long, value_name = "NAME")]
    image: ImageName,
    /// The run; default: what was gold before the present gold first became gold. Run again it says that it is done
    #[arg(long, value_name = "ULID")]
    run: Option<RunId>,
    #[command(flatten)]
    ledger: LedgerFlags,
}

/// Which run.
#[derive(Debug, Args)]
struct RunFlags {
    /// The image
    #[arg(long, value_name = "NAME")]
    image: ImageName,
    /// The run
    #[arg(long, value_name = "ULID")]
    run: RunId,
}

/// A rejection. Fails with every mistake.
pub fn reject(args: &RejectArgs, globals: &GlobalOptions) -> Result<MoveRequest, Vec<ConfigProblem>> {
    let what = RunMove::Reject { run: args.run.run, release: args.release };
    plan(&args.run.image, what, &args.ledger, globals, &dispatch::working_dir()?)
}

/// A retirement. Fails with every mistake.
pub fn retire(args: &RetireArgs, globals: &GlobalOptions) -> Result<MoveRequest, Vec<ConfigProblem>> {
    let what = RunMove::Retire { run: args.run.run };
    plan(&args.run.image, what, &args.ledger, globals, &dispatch::working_dir()?)
}

/// A revocation. Fails with every mistake.
pub fn revoke(args: &RevokeArgs, globals: &GlobalOptions) -> Result<MoveRequest, Vec<ConfigProblem>> {
    let what = RunMove::Revoke { run: args.run.run, at: args.at, force: args.force };
    plan(&args.run.image, what, &args.ledger, globals, &dispatch::working_dir()?)
}

/// A rollback. Fails with every mistake.
pub fn rollback(args: &RollbackArgs, globals: &GlobalOptions) -> Result<MoveRequest, Vec<ConfigProblem>> {
    plan(&args.image, RunMove::Rollback { run: args.run }, &args.ledger, globals, &dispatch::working_dir()?)
}

fn plan(
    image: &ImageName,
    what: RunMove,
    flags: &LedgerFlags,
    globals: &GlobalOptions,
    folder: &Path,
) -> Result<MoveRequest, Vec<ConfigProblem>> {
    let mut problems = Vec::new();
    let planned = flags.plan(globals, folder, &mut problems);
    if flags.reason.is_none() && !matches!(what, RunMove::Rollback { .. }) {
        problems.push(problem("--reason", "is missing; the lock records why"));
    }
    // What a rollback distributes, assay.hcl must say. The other moves go by the lock alone: an image that was taken out of the file or renamed must still be revocable.
    if let (Some((_, file)), RunMove::Rollback { .. }) = (&planned, what) {
        declared(file, image, &mut problems);
    }
    match planned {
        Some((ledgering, _)) if problems.is_empty() => Ok(MoveRequest { ledgering, image: image.clone(), what }),
        _ => Err(problems),
    }
}

/// Makes the move, and prints what became of it.
pub fn execute(request: MoveRequest) -> ExitStatus {
    let format = request.ledgering.format;
    live::run(format, OnInterrupt::Finish, async move |events, _cancel| {
        let result = promotion::moved(&request, &events).await;
        shown(&[result], format)
    })
}
