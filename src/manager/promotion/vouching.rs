//! Who vouches for evidence: a key that the protected branch trusts, or the pipeline of the protected branch that both validated and promotes. It owns that question
//! alone; it refuses any file that a commit could have brought along.

use super::{
    context::MoveContext,
    evidence::{EvidenceOrigin, FoundEvidence},
    outcome::{MoveRefusal, PromotionError},
    rules::PromotionRules,
};
use assay_ledger as ledger;
use assay_ledger::LedgerSnapshot;
use assay_model::{ImageName, RunId, cause::chain};
use assay_signing as signing;

/// Every reason why nobody vouches for `proof`; a signature that is there must be good, whatever else speaks for the evidence.
pub(super) async fn check(
    context: &MoveContext<'_>,
    books: &LedgerSnapshot,
    rules: &PromotionRules,
    proof: &FoundEvidence,
) -> Result<Vec<MoveRefusal>, PromotionError> {
    let refuse = |why: String| vec![MoveRefusal::new(&proof.shown, why)];
    if let Some(signature) = &proof.signature {
        let file = &rules.allowed_signers;
        let Some(signers) = rules.signers(books).await? else {
            let why = format!("is signed, but {file} is not on branch {}: nobody's key is trusted", context.branch());
            return Ok(refuse(why));
        };
        return Ok(match signing::verify(&proof.bytes, signature, &signers, super::context::now()) {
            Ok(_) => Vec::new(),
            Err(error) => refuse(format!("its signature is not accepted: {}", chain(&error))),
        });
    }
    if rules.promotion.require_signature {
        let why = "is not signed, and assay.hcl says promotion { require_signature = true }; validate with --sign-with";
        return Ok(refuse(why.to_owned()));
    }
    Ok(match proof.origin {
        EvidenceOrigin::Lock => Vec::new(),
        EvidenceOrigin::Tracked => refuse(
            "is tracked in git and not signed: whoever wrote the commit could have written it; sign it (validate --sign-with), or hand it over from the validation job"
                .to_owned(),
        ),
        EvidenceOrigin::Untracked => of_this_pipeline(context, proof).into_iter().flat_map(refuse).collect(),
    })
}

/// Why the candidate file of a run that waits on the protected branch does not count: a key must vouch for it where assay.hcl asks for that, and a signature that is there must be good where
/// keys are trusted at all.
pub(super) async fn of_candidate(
    law: &LedgerSnapshot,
    rules: &PromotionRules,
    image: &ImageName,
    run: RunId,
) -> Result<Option<MoveRefusal>, PromotionError> {
    let signers = rules.signers(law).await?;
    let required = rules.promotion.require_signed_candidate;
    let why = law.candidate_signature(image, run, signers.as_ref(), required).await?;
    Ok(why.map(|why| MoveRefusal::new(ledger::candidate_file::path_of(image, run), why)))
}

/// Unsigned evidence counts only within one pipeline of the protected branch.
fn of_this_pipeline(context: &MoveContext<'_>, proof: &FoundEvidence) -> Vec<String> {
    let mut reasons = Vec::new();
    match (ledger::workflow(context.environment), &proof.evidence.workflow) {
        (Some(_), Some(theirs)) if ledger::is_this_workflow(context.environment, theirs) => {}
        (None, _) => reasons.push(
            "is not signed, and this is not a CI job of the validating pipeline; validate with --sign-with".to_owned(),
        ),
        (Some(ours), theirs) => {
            let theirs = theirs.as_deref().map_or("none".to_owned(), assay_model::escape::escape_line);
            reasons.push(format!(
                "is not signed and was made by another workflow ({theirs}) than this one ({ours}); run the whole workflow again, its validation included, or \
                 validate with --sign-with"
            ));
        }
    }
    let branch = context.branch();
    match ledger::branch_of_job(context.environment) {
        Some(built) if built == branch => {}
        Some(built) => {
            reasons.push(format!("is not signed, and this job builds {built}, not the protected branch {branch}"))
        }
        None => {
            reasons.push(format!("is not signed, and nothing says that this job builds the protected branch {branch}"))
        }
    }
    reasons
}
