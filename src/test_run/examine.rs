//! Examination: from admitted AMIs to what was found on each. It owns launching and probing side by side, a target as soon as it is up, and that everything
//! launched is released on every way out; it refuses to judge beyond what the checks amount to.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, path::PathBuf, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    RunRequest,
    admit::AdmittedImage,
    event::EventSender,
    external, hurry,
    inventories::InventoriesByDigest,
    probing::{self, ExtraQuestions, ProbeContext},
    reach::{self, RunReach},
    report_folder,
    second_boot::SecondBoot,
    stages,
};
use assay_aws::{
    cloud::{CloudFactory, CloudImage},
    journal::{
        self, Journal, UndoPolicy,
        reaper::{ReaperHandle, own_program},
    },
    launch::{Fleet, FleetOrder, LaunchError, LaunchedTarget},
};
use assay_config::{ProberSettings, Settings};
use assay_model::{
    AccountId, BootOptions, Digest, Inventory, Provenance, RunEvent, TargetEvidence, TargetId, UndecidedKind,
    cause::chain,
    evidence::{Leftover, UndecidedReason},
};
use assay_prober::Prober;

/// How long the end of a run waits for what it created to be confirmed gone.
const RELEASE: Duration = Duration::from_secs(240);
/// The same after a cancel, when somebody waits for us to go, and may soon kill us: within this the instances' end is asked for. The rest is the reaper's, and evidence and
/// reports are still to be written.
const RELEASE_CANCELLED: Duration = Duration::from_secs(5);
/// How often a silent run says what it waits for.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// What an examination works with.
pub(super) struct ExaminationContext<'a> {
    /// The cloud.
    pub factory: Arc<dyn CloudFactory>,
    /// Whose account it is; absent where the caller could not be learned, and then nothing is launched.
    pub account: Option<AccountId>,
    /// What is asked.
    pub request: &'a RunRequest,
    /// Where it came from.
    pub provenance: &'a Provenance,
    /// Who listens.
    pub events: &'a EventSender,
    /// Ends it.
    pub cancel: &'a CancellationToken,
    /// The AMIs.
    pub admitted: &'a [AdmittedImage],
    /// What is launched and judged of them, each AMI at least once, see [`super::targets::planned`].
    pub targets: &'a [TargetId],
    /// What is found in them.
    pub inventories: InventoriesByDigest,
}

impl ExaminationContext<'_> {
    /// The AMI that a target is of.
    fn admitted(&self, target: &TargetId) -> Option<&AdmittedImage> {
        self.admitted.iter().find(|one| one.ami == target.ami)
    }

    /// What the host of a target whose instance is up is asked beside its checks.
    fn beside(&self, target: &TargetId) -> ExtraQuestions {
        ExtraQuestions {
            facts: stages::needs_facts(self.request),
            inventory: self.inventories.is_first_of(&target.ami),
        }
    }
}

/// The evidence so far.
type JudgedSoFar = BTreeMap<TargetId, TargetEvidence>;

/// What came of it.
#[derive(Default)]
pub(super) struct ExaminationResult {
    /// One per target.
    pub targets: Vec<TargetEvidence>,
    /// What could not be confined in the prober.
    pub confinement: Vec<String>,
    /// What could not be removed.
    pub leftovers: Vec<Leftover>,
    /// What is in the images.
    pub inventories: BTreeMap<Digest, Inventory>,
}

/// Examines every target. Those that cannot be launched are undecided, with the reason.
pub(super) async fn all(context: ExaminationContext<'_>) -> ExaminationResult {
    let mut judged = JudgedSoFar::new();
    for target in context.targets {
        if let Some(reason) = refusal(&context, target) {
            judge(&context, &mut judged, target, undecided(&context, target, reason));
        }
    }
    let mut confinement = Vec::new();
    let mut leftovers = Vec::new();
    if judged.len() < context.targets.len() {
        match hurry::bounded(context.cancel, prepare(&context)).await.unwrap_or_else(|| Err(cancelled())) {
            Ok(ready) => {
                confinement = ready.prober.confinement().to_vec();
                // A panic must not skip the release, nor the stamping after it.
                let testing = AssertUnwindSafe(test_fleet(&context, &ready, &mut judged));
                if testing.catch_unwind().await.is_err() {
                    tracing::error!("testing panicked");
                }
                not_tested(&context, &defect(), &mut judged);
                leftovers = release(&context, ready).await;
            }
            Err(reason) => not_tested(&context, &reason, &mut judged),
        }
    }
    let inventories = context.inventories.all();
    ExaminationResult { targets: judged.into_values().collect(), confinement, leftovers, inventories }
}

fn refusal(context: &ExaminationContext<'_>, target: &TargetId) -> Option<UndecidedReason> {
    if context.cancel.is_cancelled() {
        return Some(cancelled());
    }
    context.admitted(target).map_or_else(|| Some(defect()), |one| one.refused.clone())
}

fn cancelled() -> UndecidedReason {
    UndecidedReason { kind: UndecidedKind::Cancelled, reason: "the run was cancelled".to_owned() }
}

/// For a target that should have been judged by now. Without its own evidence the others' would speak for it.
fn defect() -> UndecidedReason {
    UndecidedReason {
        kind: UndecidedKind::Lost,
        reason: "a defect in assay ended its test; the log says more, please report it".to_owned(),
    }
}

/// Every target that nothing was found out about is undecided, for `reason`.
fn not_tested(context: &ExaminationContext<'_>, reason: &UndecidedReason, judged: &mut JudgedSoFar) {
    for target in context.targets {
        if !judged.contains_key(target) {
            judge(context, judged, target, undecided(context, target, reason.clone()));
        }
    }
}

/// Notes what was found on a target, and tells it.
fn judge(context: &ExaminationContext<'_>, judged: &mut JudgedSoFar, target: &TargetId, found: TargetEvidence) {
    context.events.judged(&found);
    judged.insert(target.clone(), found);
}

/// Everything that must stand before the first creating call.
struct ReadyRun {
    journal: Arc<Journal>,
    reaper: ReaperHandle,
    prober: Arc<Prober>,
    reach: RunReach,
    fleet: Arc<Fleet>,
}

async fn prepare(context: &ExaminationContext<'_>) -> Result<ReadyRun, UndecidedReason> {
    let settings = &context.request.settings;
    let configuration = |error: &dyn std::error::Error| undecided_by(UndecidedKind::Configuration, error);
    if settings.ssh.username.is_none() {
        return Err(UndecidedReason {
            kind: UndecidedKind::Configuration,
            reason: "ssh_username is not set, and the builder did not say its own".to_owned(),
        });
    }
    let place = external::ExternalPlace { base_dir: &settings.base_dir, bounds: &settings.bounds };
    let mut problems = external::problems(&settings.suites, place);
    problems.extend(report_folder::problem(settings.report_dir.as_deref()).await);
    if !problems.is_empty() {
        return Err(UndecidedReason { kind: UndecidedKind::Configuration, reason: problems.join("; ") });
    }
    let root = journal::default_root().map_err(|e| configuration(&e))?;
    let journal =
        Journal::create(&root, context.request.run, context.account.clone()).map_err(|e| configuration(&e))?;
    let journal = Arc::new(journal);
    let program = program()?;
    let reaper = ReaperHandle::start(&program, &journal, &settings.access, context.factory.resolved())
        .await
        .map_err(|e| configuration(&e))?;
    let rest = async {
        let prober = reach::prober(&settings.prober, &program).await?;
        let ssh = &settings.ssh;
        source_is_known(settings)?;
        let reach = RunReach::prepare(ssh.bastion.as_ref(), ssh.proxy_command.as_deref(), &program).await?;
        let fleet = prepare_fleet(context, journal.clone()).await.map_err(|e| configuration(&e))?;
        Ok((Arc::new(prober), reach, fleet))
    };
    match rest.await {
        Ok((prober, reach, fleet)) => Ok(ReadyRun { journal, reaper, prober, reach, fleet }),
        Err(reason) => {
            // Nothing was created.
            dismiss(&journal, reaper).await;
            Err(reason)
        }
    }
}

/// A prober elsewhere dials from an address that cannot be learned here: the temporary group would admit the wrong one.
fn source_is_known(settings: &Settings) -> Result<(), UndecidedReason> {
    let launch = &settings.launch;
    let ours = settings.prober == ProberSettings::Local;
    let own_groups = !launch.security_group_ids.is_empty() || launch.security_group_filter.is_some();
    if ours || !launch.source_cidrs.is_empty() || own_groups {
        return Ok(());
    }
    Err(undecided_by(UndecidedKind::Configuration, &LaunchError::SourceNotOurs { option: "prober" }))
}

async fn prepare_fleet(context: &ExaminationContext<'_>, journal: Arc<Journal>) -> Result<Arc<Fleet>, LaunchError> {
    let settings = &context.request.settings;
    let order = FleetOrder {
        run: context.request.run,
        image: settings.image.clone(),
        provenance: context.provenance.clone(),
        launch: settings.launch.clone(),
        ssh: settings.ssh.clone(),
    };
    Fleet::prepare(context.factory.clone(), journal, order, context.cancel.child_token()).await
}

/// Ends record and reaper when nothing is left for them.
async fn dismiss(journal: &Journal, reaper: ReaperHandle) {
    // Its log is in the journal's folder, which goes only when nobody has a file in it open.
    if let Err(error) = reaper.dismiss().await {
        tracing::warn!(%error, "the reaper did not end in time; it has nothing to do");
    }
    if let Err(error) = journal.close() {
        tracing::warn!(%error, "the journal could not be closed");
    }
}

/// This very program, of which prober and reaper are other parts.
fn program() -> Result<PathBuf, UndecidedReason> {
    own_program().map_err(|error| undecided_by(UndecidedKind::Configuration, &error))
}

fn undecided_by(kind: UndecidedKind, error: &dyn std::error::Error) -> UndecidedReason {
    UndecidedReason { kind, reason: chain(error) }
}

/// Launches, probes each target as it comes up, ends its instance at once.
async fn test_fleet(context: &ExaminationContext<'_>, ready: &ReadyRun, judged: &mut JudgedSoFar) {
    let wanted: Vec<(TargetId, CloudImage)> = context
        .targets
        .iter()
        .filter(|target| !judged.contains_key(*target))
        .filter_map(|target| Some((target.clone(), context.admitted(target)?.image.clone()?)))
        .collect();
    let named: Vec<TargetId> = wanted.iter().map(|(target, _)| target.clone()).collect();
    let companions = stages::companions(&context.request.settings.suites, &named);
    let mut pairs = stages::InstancePairs::of(&companions);
    // An undisturbed instance is no target of its own: what it says belongs to the evidence of the prepared one. It comes first: the prepared one waits for
    // it, and with `max_parallel` there may be no room for both.
    let mut companions = companions.into_iter();
    let both = |(prepared, image): (TargetId, CloudImage)| {
        let undisturbed = companions.next().map(|companion| (companion, image.clone()));
        undisturbed.into_iter().chain([(prepared, image)])
    };
    let mut launched = ready.fleet.launch(wanted.into_iter().flat_map(both).collect());
    let mut probing = FuturesUnordered::new();
    let mut more = true;
    let began = tokio::time::Instant::now();
    let mut heartbeat = tokio::time::interval_at(began + HEARTBEAT, HEARTBEAT);
    while more || !probing.is_empty() {
        tokio::select! {
            target = launched.recv(), if more => match target {
                Some(launched) if launched.target.boot == BootOptions::Undisturbed => {
                    let tell = pairs.sender(&launched.target);
                    probing.push(visit(context, ready, launched, tell).map(|()| None).boxed());
                }
                Some(launched) => {
                    let second = pairs.receiver(&launched.target);
                    probing.push(examine(context, ready, launched, second).map(Some).boxed());
                }
                None => {
                    more = false;
                    pairs.close();
                }
            },
            Some(found) = probing.next(), if !probing.is_empty() => {
                let found: Option<(TargetId, TargetEvidence)> = found;
                if let Some((target, found)) = found {
                    judge(context, judged, &target, found);
                }
            }
            _ = heartbeat.tick() => {
                let targets = context.targets.iter().filter(|target| !judged.contains_key(*target)).map(ToString::to_string).collect();
                context.events.tell(RunEvent::Waiting { targets, seconds: began.elapsed().as_secs() });
            }
        }
    }
}

/// One target from its launch to its evidence.
async fn examine(
    context: &ExaminationContext<'_>,
    ready: &ReadyRun,
    launched: LaunchedTarget,
    second: Option<oneshot::Receiver<SecondBoot>>,
) -> (TargetId, TargetEvidence) {
    let admitted = context.admitted(&launched.target);
    let record = admitted.and_then(AdmittedImage::record);
    tell_phases(context, &launched);
    let mut evidence = TargetEvidence::new(launched.target.to_string(), record);
    for refused in &launched.refused {
        context.events.note(format!("{}: EC2 has no room for {refused}", launched.target));
    }
    evidence.phases = launched.phases.clone();
    evidence.refused_launches = launched.refused.clone();
    match &launched.instance {
        Err(reason) => {
            context.inventories.note(None, Some(reason), &mut evidence);
            evidence.undecided = Some(reason.clone());
        }
        Ok(instance) => {
            evidence.instance = Some(instance.id.clone());
            evidence.instance_type = Some(instance.instance_type.clone());
            evidence.availability_zone = instance.availability_zone.clone();
            let with = probing(context, ready);
            let beside = context.beside(&launched.target);
            let met = probing::probe(&with, &launched, instance, beside, &mut evidence).await;
            let image = admitted.and_then(|one| one.image.as_ref());
            let seen = stages::own(&with, &launched, instance, image, met, &mut evidence).await;
            if stages::is_unclear(&evidence) {
                let explained = probing::explain(&with, &launched.target, &mut evidence);
                let _explained = hurry::bounded(context.cancel, explained).await;
            }
            // The release ends it again where this was cut short.
            let _ended = hurry::bounded(context.cancel, ready.fleet.end(&launched.target)).await;
            stages::compared(&with, seen, second, &mut evidence).await;
        }
    }
    (launched.target, evidence)
}

fn probing<'a>(context: &'a ExaminationContext<'_>, ready: &'a ReadyRun) -> ProbeContext<'a> {
    ProbeContext {
        request: context.request,
        fleet: &ready.fleet,
        prober: &ready.prober,
        reach: &ready.reach,
        events: context.events,
        cancel: context.cancel,
        inventories: &context.inventories,
    }
}

fn tell_phases(context: &ExaminationContext<'_>, launched: &LaunchedTarget) {
    for phase in &launched.phases {
        context.events.tell(RunEvent::Phase {
            target: launched.target.to_string(),
            phase: phase.name.clone(),
            duration_ms: phase.duration_ms,
        });
    }
}

/// One undisturbed instance from its launch to what it says. Nobody may be waiting any more.
async fn visit(
    context: &ExaminationContext<'_>,
    ready: &ReadyRun,
    launched: LaunchedTarget,
    tell: Option<oneshot::Sender<SecondBoot>>,
) {
    tell_phases(context, &launched);
    let second = stages::visit(&probing(context, ready), &launched).await;
    let _ended = hurry::bounded(context.cancel, ready.fleet.end(&launched.target)).await;
    if let Some(tell) = tell {
        let _nobody_waits = tell.send(second);
    }
}

async fn release(context: &ExaminationContext<'_>, ready: ReadyRun) -> Vec<Leftover> {
    let hurried = || UndoPolicy::hurried(RELEASE_CANCELLED);
    let policy = if context.cancel.is_cancelled() { hurried() } else { UndoPolicy::within(RELEASE) };
    // A cancel in the middle of the release shortens it.
    let leftovers = tokio::select! {
        leftovers = ready.fleet.release(policy) => leftovers,
        () = after_cancel(context.cancel) => ready.fleet.release(hurried()).await,
    };
    if leftovers.is_empty() {
        dismiss(&ready.journal, ready.reaper).await;
    } else {
        // The reaper goes on with what is left, after we are gone.
        for leftover in &leftovers {
            context.events.warn(format!(
                "{} {} in {} is still there ({}); it is being removed in the background, or run, once no other build of this run is being tested: {}",
                leftover.kind, leftover.id, leftover.region, leftover.reason, leftover.cure
            ));
        }
    }
    leftovers
}

async fn after_cancel(cancel: &CancellationToken) {
    if cancel.is_cancelled() {
        std::future::pending::<()>().await;
    }
    cancel.cancelled().await;
}

/// The evidence for a target that never got as far as checks.
fn undecided(context: &ExaminationContext<'_>, target: &TargetId, reason: UndecidedReason) -> TargetEvidence {
    let record = context.admitted(target).and_then(AdmittedImage::record);
    TargetEvidence::untested(target.to_string(), record, reason)
}
