//! Examination: from admitted AMIs to what was found on each. It owns launching and probing side by side, a target as soon as it is up, and that everything
//! launched is released on every way out; it refuses to judge beyond what the checks amount to.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Request, admit::Admitted, event::Events};
use crate::{
    cloud::CloudFactory,
    model::{
        AccountId, HostKeyPin, Provenance, TargetEvidence, UndecidedKind, Verdict,
        evidence::{Leftover, Undecided},
    },
};

/// What an examination works with.
pub struct Context<'a> {
    /// The cloud.
    pub factory: Arc<dyn CloudFactory>,
    /// Whose account it is; absent where the caller could not be learned, and then nothing is launched.
    pub account: Option<AccountId>,
    /// What is asked.
    pub request: &'a Request,
    /// Where it came from.
    pub provenance: &'a Provenance,
    /// Who listens.
    pub events: &'a Events,
    /// Ends it.
    pub cancel: &'a CancellationToken,
    /// The AMIs.
    pub admitted: &'a [Admitted],
}

/// What came of it.
pub struct Examined {
    /// One per AMI.
    pub targets: Vec<TargetEvidence>,
    /// What could not be confined in the prober.
    pub confinement: Vec<String>,
    /// What could not be removed.
    pub leftovers: Vec<Leftover>,
}

/// Examines every AMI.
pub async fn all(context: Context<'_>) -> Examined {
    let targets = context
        .admitted
        .iter()
        .map(|one| {
            let reason = one
                .refused
                .clone()
                .unwrap_or(Undecided { kind: UndecidedKind::Cloud, reason: "launching is not linked yet".to_owned() });
            let evidence = undecided(one, reason);
            context.events.judged(&evidence);
            evidence
        })
        .collect();
    Examined { targets, confinement: Vec::new(), leftovers: Vec::new() }
}

/// The evidence for an AMI that never got as far as checks.
fn undecided(one: &Admitted, reason: Undecided) -> TargetEvidence {
    TargetEvidence {
        target: one.ami.to_string(),
        verdict: Verdict::Undecided,
        undecided: Some(reason),
        host_key: HostKeyPin::None,
        ami: one.record(),
        instance: None,
        instance_type: None,
        phases: Vec::new(),
        checks: Vec::new(),
        console: None,
    }
}
