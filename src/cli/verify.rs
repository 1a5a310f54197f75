//! `assay verify`: whether what git says of the images holds together.

use std::path::Path;

use clap::Args;

use super::{
    args::GlobalOptions,
    dispatch,
    live::{self, OnInterrupt},
    option_flags::problem,
    output,
};
use assay_config::{ConfigProblem, file, request::OutputFormat};
use assay_ledger as ledger;
use assay_ledger::{
    BooksRequest,
    verify::{VerifyFinding, VerifyRequest, VerifyResult, verify},
};
use assay_model::{ImageName, escape::escape_line, exit::ExitStatus};

/// Check what git says of the images: locks, their chain and history, evidence, tags
///
/// Looks at the protected branch of the remote, changes nothing, and asks no cloud. Exits with 0 where all is right, 2 where something is not, 3
/// where something could not be looked at.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Only this image; default: all that images/ holds
    #[arg(long, value_name = "NAME")]
    image: Option<ImageName>,
    /// Another branch of the remote; default: git.branch of assay.hcl, else main
    #[arg(long, value_name = "NAME", conflicts_with = "reference")]
    branch: Option<String>,
    /// A commit that is here (HEAD, a branch, an id) instead of the remote's branch; tags are then the local ones
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
    /// Check the annotated tag of every vetted and gold entry
    #[arg(long)]
    tags: bool,
    /// Demand signatures: evidence by promotion.allowed_signers, tags as git verify-tag sees it; implies --tags
    #[arg(long)]
    signatures: bool,
}

/// What to verify, and how to say it.
#[derive(Debug, Clone)]
pub(super) struct VerifyPlan {
    request: VerifyRequest,
    format: OutputFormat,
}

/// Checks the flags together with assay.hcl. Fails with every mistake.
pub(super) fn plan(args: &VerifyArgs, globals: &GlobalOptions) -> Result<VerifyPlan, Vec<ConfigProblem>> {
    plan_in(args, globals, &dispatch::working_dir()?)
}

fn plan_in(args: &VerifyArgs, globals: &GlobalOptions, folder: &Path) -> Result<VerifyPlan, Vec<ConfigProblem>> {
    let mut problems = Vec::new();
    let file = file::read_located(globals.config.as_deref(), folder, &mut problems);
    for (flag, name) in [("--branch", &args.branch), ("--ref", &args.reference)] {
        if let Some(name) = name.as_ref().filter(|name| name.is_empty() || name.starts_with('-')) {
            problems.push(problem(flag, format!("{name:?} is not a name that git takes")));
        }
    }
    let format = globals.plain_format().map_err(|wrong| problems.push(wrong)).unwrap_or_default();
    if !problems.is_empty() {
        return Err(problems);
    }
    let git = file.as_ref().map(|file| file.git.clone()).unwrap_or_default();
    let promotion = file.as_ref().map(|file| file.promotion.clone()).unwrap_or_default();
    let request = VerifyRequest {
        books: BooksRequest {
            folder: file.map_or_else(|| folder.to_owned(), |file| file.folder),
            branch: args.branch.clone().unwrap_or(git.branch),
            remote: git.remote,
            environment: ledger::environment_of_process(),
        },
        at: args.reference.clone(),
        image: args.image.clone(),
        tags: args.tags,
        signatures: args.signatures,
        require_signature: promotion.require_signature,
        allowed_signers: promotion.allowed_signers.map(|path| path.to_string_lossy().into_owned()),
    };
    Ok(VerifyPlan { request, format })
}

/// Verifies, and prints every finding.
pub(super) fn execute(plan: VerifyPlan) -> ExitStatus {
    live::run(plan.format, OnInterrupt::End, async move |_events, _cancel| match verify(&plan.request).await {
        Ok(verified) => {
            let exit = exit(&verified);
            match plan.format {
                OutputFormat::Text => output::result(&text(&verified), exit),
                format => output::json(&json(&verified, exit), format, exit),
            }
        }
        Err(error) => {
            output::chain(&error);
            match error.exit() {
                ExitStatus::Usage => ExitStatus::Usage,
                _ => ExitStatus::Undecided,
            }
        }
    })
}

fn exit(verified: &VerifyResult) -> ExitStatus {
    match (verified.findings.is_empty(), verified.unknown.is_empty()) {
        (false, _) => ExitStatus::Failed,
        (true, false) => ExitStatus::Undecided,
        (true, true) => ExitStatus::Done,
    }
}

fn json(verified: &VerifyResult, exit: ExitStatus) -> serde_json::Value {
    let mut document = serde_json::json!(verified);
    document["verdict"] = match exit {
        ExitStatus::Done => "passed",
        ExitStatus::Failed => "failed",
        _ => "undecided",
    }
    .into();
    document
}

fn text(verified: &VerifyResult) -> String {
    let mut lines = vec![format!(
        "{}: {} images, {} versions of locks, {} evidence files, {} signatures, {} tags",
        verified.commit,
        verified.images.len(),
        verified.versions,
        verified.evidence,
        verified.signatures,
        verified.tags
    )];
    for image in &verified.images {
        let gold = image.gold.map_or_else(|| "none".to_owned(), |run| run.to_string());
        lines.push(format!(
            "  {}: gold {gold}, {} entries, {} candidates",
            image.image, image.entries, image.candidates
        ));
    }
    let shown = |word: &str, finding: &VerifyFinding| {
        let line = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
        // Names of files in a pull request's tree are anybody's.
        let (place, message) = (escape_line(&finding.place), escape_line(&finding.message));
        format!("{word}: {place}{line}: {message}\n  cure: {}", finding.cure)
    };
    lines.extend(verified.findings.iter().map(|finding| shown("wrong", finding)));
    lines.extend(verified.unknown.iter().map(|finding| shown("unknown", finding)));
    lines.push(match (verified.findings.len(), verified.unknown.len()) {
        (0, 0) => "all is right".to_owned(),
        (0, unknown) => format!("nothing wrong found, {unknown} could not be looked at"),
        (wrong, _) => format!("{wrong} wrong"),
    });
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verified() -> VerifyResult {
        VerifyResult {
            commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            images: Vec::new(),
            versions: 2,
            evidence: 1,
            signatures: 0,
            tags: 0,
            findings: Vec::new(),
            unknown: Vec::new(),
        }
    }

    fn finding() -> VerifyFinding {
        VerifyFinding {
            place: "images/base.lock.hcl".to_owned(),
            line: Some(7),
            message: "the chain is broken".to_owned(),
            cure: "restore it".to_owned(),
        }
    }

    #[test]
    fn a_finding_weighs_more_than_what_cannot_be_told() {
        let mut verified = verified();
        assert_eq!(
            (exit(&verified), json(&verified, ExitStatus::Done)["verdict"].as_str()),
            (ExitStatus::Done, Some("passed"))
        );
        verified.unknown.push(finding());
        assert_eq!(exit(&verified), ExitStatus::Undecided);
        verified.findings.push(finding());
        assert_eq!(exit(&verified), ExitStatus::Failed);
        let said = text(&verified);
        assert!(said.contains("wrong: images/base.lock.hcl:7: the chain is broken\n  cure: restore it\n"), "{said}");
        assert_eq!(json(&verified, ExitStatus::Failed)["findings"][0]["line"], 7);
    }
}
