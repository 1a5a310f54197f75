//! Where a run came from: asks the ledger about the repository, and adds what Packer knew. What an AMI was made from is what was there when its build began; what changed meanwhile is said,
//! and then nobody can say what it was made from.

use super::RunRequest;
use assay_config::Settings;
use assay_ledger as ledger;
use assay_ledger::{LearnedProvenance, ProvenanceRequest};
use assay_model::Provenance;

/// What was known when a build began.
#[derive(Debug, Clone)]
pub(crate) struct BuildBeginning {
    /// When, RFC 3339 UTC.
    at: String,
    /// Where it comes from; none where the configuration was not known then.
    provenance: Option<Provenance>,
}

impl BuildBeginning {
    /// To be called before anything is built.
    pub(crate) async fn now(settings: Option<&Settings>) -> Self {
        let at = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second());
        let at = at.unwrap_or_default().to_string();
        let provenance = match settings {
            Some(settings) => Some(ask(settings).await.provenance),
            None => None,
        };
        Self { at, provenance }
    }
}

/// What is known of a run's origin.
#[derive(Debug, Default)]
pub(super) struct RunOrigin {
    /// Commit, branch, owner, pipeline and source digest as far as they can be learned, or the candidate's own.
    pub provenance: Provenance,
    /// The CI workflow that this job is of.
    pub workflow: Option<String>,
    /// What the user should know.
    pub warning: Option<String>,
}

/// Learns it; never fails. What could not be learned is logged.
pub(super) async fn learn(request: &RunRequest) -> RunOrigin {
    let learned = ask(&request.settings).await;
    for reason in &learned.unknown {
        tracing::info!(%reason, "not known of this run");
    }
    let lacking = lacking(&request.settings, &learned);
    let LearnedProvenance { provenance, workflow, .. } = learned;
    if let Some(candidate) = &request.candidate {
        return RunOrigin { provenance: candidate.provenance.clone(), workflow, warning: None };
    }
    let (provenance, changed) = since(request.began.as_ref(), provenance);
    let warning = changed.or(lacking);
    RunOrigin { provenance: Provenance { parent: request.parent.clone(), ..provenance }, workflow, warning }
}

/// What is said where an AMI that shall be promoted gets no source digest, or one that nobody may take away no owner: it would be found out when it is promoted, or never.
fn lacking(settings: &Settings, learned: &LearnedProvenance) -> Option<String> {
    let provenance = &learned.provenance;
    let no_digest = !settings.inputs.is_empty() && provenance.source_digest.is_none();
    let why = learned.unknown.join("; ");
    match (no_digest, provenance.owner.is_none() && !why.is_empty()) {
        (true, _) => Some(format!("the AMI gets no source digest, so it cannot be promoted: {why}")),
        (false, true) => Some(format!("the AMI gets no tag assay:owner, so assay prune will never remove it: {why}")),
        (false, false) => None,
    }
}

async fn ask(settings: &Settings) -> LearnedProvenance {
    let environment = ledger::environment_of_process();
    ledger::learn(ProvenanceRequest {
        folder: &settings.base_dir,
        environment: &environment,
        owner: settings.owner.as_deref(),
        inputs: &settings.inputs,
        projections: &settings.projections,
        build: &settings.build,
    })
    .await
}

/// What counts of what was known when the build began and what is there `now`.
fn since(began: Option<&BuildBeginning>, now: Provenance) -> (Provenance, Option<String>) {
    let Some(began) = began else { return (now, None) };
    let began_at = Some(began.at.clone());
    let Some(before) = began.provenance.clone() else { return (Provenance { began_at, ..now }, None) };
    if before.source_digest == now.source_digest {
        return (Provenance { began_at, ..before }, None);
    }
    let shown =
        |digest: &Option<assay_model::Digest>| digest.as_ref().map_or("unknown".to_owned(), ToString::to_string);
    let warning = format!(
        "the inputs changed while the image was built (source digest {} before, {} now): nobody can say what it was made from, so it cannot be promoted; build it again",
        shown(&before.source_digest),
        shown(&now.source_digest)
    );
    (Provenance { began_at, source_digest: None, ..before }, Some(warning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_model::Digest;

    fn of(word: &str) -> Provenance {
        let (source_digest, commit) = (Some(Digest::of(word.as_bytes())), Some(word.to_owned()));
        Provenance { source_digest, commit, ..Provenance::default() }
    }

    #[test]
    fn what_changed_while_it_was_built_is_not_what_it_was_made_from() {
        let began = BuildBeginning { at: "2026-11-22T10:00:00Z".to_owned(), provenance: Some(of("before")) };
        let (same, warning) = since(Some(&began), Provenance { commit: Some("later".to_owned()), ..of("before") });
        assert_eq!((same.source_digest, same.commit.as_deref()), (of("before").source_digest, Some("before")));
        assert_eq!((same.began_at.as_deref(), warning), (Some("2026-11-22T10:00:00Z"), None));

        let (changed, warning) = since(Some(&began), of("after"));
        assert_eq!((changed.source_digest, changed.commit.as_deref()), (None, Some("before")));
        assert!(warning.expect("it is said").contains("changed while the image was built"));
        assert_eq!(since(None, of("x")), (of("x"), None), "outside of Packer nothing began");
    }
}
