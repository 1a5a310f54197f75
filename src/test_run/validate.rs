//! `validate`: the whole of a run on AMIs, in order.

use std::{collections::BTreeSet, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::{
    FinishedRun, RunRequest,
    admit::{self, AdmittedImage},
    conclude::conclude,
    event::EventSender,
    examine::{self, ExaminationResult},
    hurry,
    inventories::InventoriesByDigest,
    protection::ProtectionRecord,
    targets,
};
use assay_aws::cloud::{CloudFactory, Ec2Factory, with_region};
use assay_model::{
    Digest, Evidence, ImageName, Provenance, RunEvent, RunId, TargetEvidence, UndecidedKind, Verdict,
    evidence::{EVIDENCE_SCHEMA, SuiteRef, UndecidedReason},
    tags,
};
use assay_suite::Suite;

/// Tests the request's AMIs and stamps them. Never fails as a whole: what goes wrong is in the result. `cancel` ends the testing, not the cleaning up
/// and the recording.
pub(crate) async fn validate(mut request: RunRequest, events: EventSender, cancel: CancellationToken) -> FinishedRun {
    let started_at = jiff::Timestamp::now().to_string();
    // An AMI that is named twice is one AMI.
    let mut named = BTreeSet::new();
    request.amis.retain(|ami| named.insert(ami.clone()));
    let near = request.amis.first().map(|ami| ami.region.clone());
    request.settings.access = with_region(&request.settings.access, near.as_ref()).await;
    let factory: Arc<dyn CloudFactory> = Arc::new(Ec2Factory::connect(&request.settings.access).await);
    let protections =
        if request.protect { ProtectionRecord::open(request.run, &events) } else { ProtectionRecord::none() };
    let protect = request.protect.then_some(&protections);
    let admission = admit::admit(factory.as_ref(), &request.amis, protect, request.own_only, &events);
    // Bounded one by one: a slow repository must not make us forget which AMIs were protected.
    let (admission, origin) =
        futures::join!(hurry::bounded(&cancel, admission), hurry::bounded(&cancel, super::provenance::learn(&request)));
    let Some((admitted, account)) = admission else {
        protections.close();
        return given_up(&request, started_at, &events);
    };
    let super::provenance::RunOrigin { provenance, workflow, warning } = origin.unwrap_or_default();
    if let Some(warning) = warning {
        events.warn(warning);
    }
    let admitted = admit::of_image(admitted, request.settings.image.as_ref());
    let run = run_of(&request, &admitted);
    let targets = targets::planned(&request.amis, &request.settings.launch);
    events.tell(RunEvent::Started { run: run.to_string(), targets: targets.iter().map(ToString::to_string).collect() });
    let examined = examine::all(examine::ExaminationContext {
        factory,
        account,
        request: &request,
        provenance: &provenance,
        events: &events,
        cancel: &cancel,
        admitted: &admitted,
        targets: &targets,
        inventories: InventoriesByDigest::default(),
    })
    .await;
    let mut evidence =
        evidence_of(run, image_of(&request, &admitted), provenance, &request.settings.suites, started_at, examined);
    evidence.workflow = workflow;
    evidence.shard = request.shard.clone();
    let finished = conclude(&request, &admitted, evidence, &protections, &events, &cancel).await;
    protections.close();
    finished
}

/// Cancelled before the AMIs could even be looked at.
fn given_up(request: &RunRequest, started_at: String, events: &EventSender) -> FinishedRun {
    let reason = UndecidedReason {
        kind: UndecidedKind::Cancelled,
        reason: "the run was cancelled before EC2 answered".to_owned(),
    };
    let planned = targets::planned(&request.amis, &request.settings.launch);
    let targets =
        planned.iter().map(|target| TargetEvidence::untested(target.to_string(), None, reason.clone())).collect();
    let examined = ExaminationResult { targets, ..ExaminationResult::default() };
    examined.targets.iter().for_each(|target| events.judged(target));
    let image = request.settings.image.clone();
    let mut evidence =
        evidence_of(request.run, image, Provenance::default(), &request.settings.suites, started_at, examined);
    evidence.shard = request.shard.clone();
    FinishedRun::unrecorded(evidence)
}

/// The run that is being judged: on the command line that of the AMIs' own tags, where they agree; else the request's.
fn run_of(request: &RunRequest, admitted: &[AdmittedImage]) -> RunId {
    if request.protect {
        return request.run;
    }
    if let Some(candidate) = &request.candidate {
        return candidate.run;
    }
    agreed(admitted, tags::RUN).and_then(|text| text.parse().ok()).unwrap_or(request.run)
}

fn image_of(request: &RunRequest, admitted: &[AdmittedImage]) -> Option<ImageName> {
    let tagged = agreed(admitted, tags::IMAGE).and_then(|text| text.parse().ok());
    let named = request.settings.image.clone();
    // What was only assumed is not written on an AMI that nobody tagged as being of that image.
    if request.image_assumed { tagged } else { named.or(tagged) }
}

/// The value of a tag that all AMIs have in common.
fn agreed(admitted: &[AdmittedImage], key: &str) -> Option<String> {
    let mut values = admitted.iter().map(|a| a.image.as_ref().and_then(|i| i.tags.get(key)));
    let first = values.next()??;
    values.all(|value| value == Some(first)).then(|| first.clone())
}

/// What every suite holds, for the record.
fn suite_refs(suites: &[Suite]) -> Vec<SuiteRef> {
    suites
        .iter()
        .map(|suite| SuiteRef {
            name: suite.name.clone(),
            path: suite.path.display().to_string(),
            digest: Digest::clone(&suite.digest),
            planned: suite.planned(),
        })
        .collect()
}

/// The evidence that an examination amounts to.
pub(super) fn evidence_of(
    run: RunId,
    image: Option<ImageName>,
    provenance: Provenance,
    suites: &[Suite],
    started_at: String,
    examined: ExaminationResult,
) -> Evidence {
    let mut targets: Vec<TargetEvidence> = examined.targets;
    targets.sort_by(|a, b| a.target.cmp(&b.target));
    Evidence {
        schema: EVIDENCE_SCHEMA,
        verdict: Verdict::over(targets.iter().map(|t| t.verdict)),
        run,
        runs: Vec::new(),
        shard: None,
        image,
        provenance,
        workflow: None,
        started_at,
        finished_at: jiff::Timestamp::now().to_string(),
        suites: suite_refs(suites),
        targets,
        inventories: examined.inventories,
        assay_version: env!("CARGO_PKG_VERSION").to_owned(),
        confinement: examined.confinement,
        leftovers: examined.leftovers,
    }
}
