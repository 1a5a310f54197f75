//! `status`: what is gold, what waits, what is due, and where the cloud disagrees with the lock. It owns the order (git first, then the cloud, then with
//! `--repair` the mending and another look) and what a status amounts to; it refuses the lock's pen: what is wrong in git is said, never written.

mod drift;
mod finding;
mod look;
mod projections;
mod repair;
#[cfg(test)]
mod tests;
mod verified;

use std::{path::Path, time::Duration};

use jiff::Timestamp;

pub(crate) use finding::StatusDrift;
pub(crate) use look::{LookedAt, StatusSubject, UnknownFact};
pub(crate) use repair::RepairReport;

use super::plan::{self, BuildDecision, GatheredFacts, KnownImage, PlanError};
use crate::test_run::EventSender;
use assay_aws::cloud::{CloudFactory, Ec2Factory};
use assay_config::{
    file::{self, ConfigFile, PromotionDecl, in_order},
    image_requests::StatusRequest,
};
use assay_ledger as ledger;
use assay_ledger::{BooksRequest, GitEnvironment, LedgerError, LedgerSnapshot, ProvenanceRequest};
use assay_model::{
    AmiRecord, ImageName, ImageState, RunId,
    exit::ExitStatus,
    history::{LockOrder, lock_order},
};

/// How often and after which pauses EC2 is looked at again once something was mended: what was changed may show a little later.
const LOOKS: [Duration; 3] = [Duration::ZERO, Duration::from_secs(2), Duration::from_secs(6)];

/// How often the cloud follows a lock that moves meanwhile.
const MOST_TURNS: usize = 3;

/// A status.
#[derive(Debug, Clone, Default)]
pub(crate) struct RegistryStatus {
    /// Parents first.
    pub images: Vec<ImageStatus>,
    /// Every difference; after a repair those that are left.
    pub drift: Vec<StatusDrift>,
    /// What could not be learned.
    pub unknown: Vec<UnknownFact>,
    /// Images whose lock cannot be read: nothing of them was compared.
    pub unread: Vec<ImageName>,
    /// What was mended; `None`: nothing was to be.
    pub mended: Option<RepairReport>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// One image, as git has it.
#[derive(Debug, Clone)]
pub(crate) struct ImageStatus {
    /// What `plan` says.
    pub decision: BuildDecision,
    /// What is gold.
    pub gold: Option<GoldStatus>,
    /// Builds that are on their way (vetted, candidate) or came to nothing (untested, rejected), newest test first.
    pub builds: Vec<(RunId, ImageState, Timestamp)>,
    /// The image that it is built on, and whether gold stands on that one's gold; `None`: one of them has none, or it is not known.
    pub parent: Option<(ImageName, Option<bool>)>,
}

/// What is gold.
#[derive(Debug, Clone)]
pub(crate) struct GoldStatus {
    /// The run.
    pub run: RunId,
    /// Since when.
    pub since: Option<Timestamp>,
    /// When it was built and tested.
    pub tested_at: Option<Timestamp>,
    /// Its AMIs.
    pub amis: Vec<AmiRecord>,
}

impl RegistryStatus {
    /// 2 where lock and cloud differ, else 3 where a region did not answer or a repair failed, else 0.
    pub(crate) fn exit(&self) -> ExitStatus {
        if !self.drift.is_empty() {
            ExitStatus::Failed
        } else if !self.unknown.is_empty()
            || !self.unread.is_empty()
            || self.mended.as_ref().is_some_and(|mended| !mended.failed.is_empty())
        {
            ExitStatus::Undecided
        } else {
            ExitStatus::Done
        }
    }
}

/// Looks, and with `request.repair` mends. Fails where git cannot be read.
pub(crate) async fn status(
    request: &StatusRequest,
    environment: &GitEnvironment,
    events: &EventSender,
) -> Result<RegistryStatus, PlanError> {
    let factory = Ec2Factory::connect(&request.access).await;
    status_with(request, &factory, environment, &LOOKS, events).await
}

pub(crate) async fn status_with(
    request: &StatusRequest,
    factory: &dyn CloudFactory,
    environment: &GitEnvironment,
    pauses: &[Duration],
    events: &EventSender,
) -> Result<RegistryStatus, PlanError> {
    let mut survey = survey(request, factory, environment).await?;
    let mut mended = request.repair.then(RepairReport::default);
    for _ in 0..MOST_TURNS {
        let Some(all) = &mut mended else { break };
        let unverified = unverified(request, &survey, environment).await?;
        let drift = &survey.looked.drift;
        let done = repair::mend(factory, &survey.subjects, drift, &unverified, Timestamp::now()).await;
        done.done.iter().for_each(|done| events.note(done.clone()));
        all.failed = done.failed;
        if done.done.is_empty() {
            break;
        }
        all.done.extend(done.done);
        let before = survey.subjects.clone();
        for pause in pauses {
            tokio::time::sleep(*pause).await;
            survey = self::survey(request, factory, environment).await?;
            if survey.subjects != before || !survey.looked.drift.iter().any(|drift| drift.finding.is_mendable()) {
                break;
            }
        }
        if !goes_on(&before, &survey.subjects) {
            all.failed.push(
                "the remote shows an older lock than before (a mirror that lags behind?); it is not followed"
                    .to_owned(),
            );
            break;
        }
        // Where a promotion moved the lock meanwhile, its word holds, not that of the lock as it was: it is followed once more.
        if survey.subjects == before {
            break;
        }
        survey.status.notes.push("the lock moved while this went on; the cloud follows it".to_owned());
    }
    let RegistrySurvey { status, looked, .. } = survey;
    Ok(RegistryStatus { drift: looked.drift, unknown: looked.unknown, mended, ..status })
}

/// Whether every lock is what it was, or goes on from there.
fn goes_on(before: &[StatusSubject], now: &[StatusSubject]) -> bool {
    let of = |image: &ImageName| now.iter().find(|subject| subject.lock.image == *image);
    before.iter().all(|old| {
        of(&old.lock.image).is_none_or(|new| {
            matches!(lock_order(&old.lock.entries, &new.lock.entries), LockOrder::Same | LockOrder::Later)
        })
    })
}

/// One look at git and the cloud.
struct RegistrySurvey {
    /// What git says.
    status: RegistryStatus,
    subjects: Vec<StatusSubject>,
    looked: LookedAt,
    /// The protected branch, and what it asks of a promotion.
    protected: Option<LedgerSnapshot>,
    promotion: PromotionDecl,
}

/// The runs that a repair must not promote; none where there is no protected branch to go by.
async fn unverified(
    request: &StatusRequest,
    survey: &RegistrySurvey,
    environment: &GitEnvironment,
) -> Result<verified::UnverifiedRuns, LedgerError> {
    let Some(books) = &survey.protected else { return Ok(verified::UnverifiedRuns::default()) };
    let file = &request.plan.file;
    let asked = BooksRequest {
        folder: file.folder.clone(),
        branch: file.git.branch.clone(),
        remote: file.git.remote.clone(),
        environment: environment.clone(),
    };
    verified::unverified(&asked, books, &survey.promotion, &survey.subjects, &survey.looked.drift).await
}

async fn survey(
    request: &StatusRequest,
    factory: &dyn CloudFactory,
    environment: &GitEnvironment,
) -> Result<RegistrySurvey, PlanError> {
    let now = Timestamp::now();
    let gathered = plan::gather(&request.plan, environment).await?;
    let plan = plan::planned(&request.plan, &gathered, now);
    let law = law(request, &gathered, environment).await?;
    let mut status = RegistryStatus { notes: plan.notes, ..RegistryStatus::default() };
    let mut subjects = Vec::new();
    for decision in plan.images {
        let Some(known) = gathered.images.get(&decision.image) else { continue };
        status.images.push(image_status(request, &gathered, known, &decision, now));
        if known.unreadable.is_some() {
            status.unread.push(decision.image.clone());
            continue;
        }
        // The protected branch's word counts: what a pull request says of sharing must not be applied from it.
        match law.image(&decision.image) {
            Some(declared) => subjects.push(StatusSubject { declared: declared.clone(), lock: known.lock.clone() }),
            None => {
                let image = &decision.image;
                status.notes.push(format!("{image}: the protected branch does not declare it; only git is shown"));
            }
        }
    }
    if let Some(books) = gathered.protected.as_ref().filter(|_| request.plan.images.is_empty()) {
        status.notes.extend(undeclared(books, &law).await?);
    }
    let in_git = in_git(request, &gathered, &subjects, environment).await?;
    let owner = owner(request, environment).await;
    let mut looked = look::look(factory, &subjects, &request.regions, owner.as_deref(), now).await;
    status.notes.extend(looked.left.iter().map(|one| {
        let UnknownFact { region, message } = one;
        format!("{region}: assay.hcl does not name it any more, and what the lock has there was not seen: {message}")
    }));
    looked.drift.extend(in_git);
    Ok(RegistrySurvey { status, subjects, looked, protected: gathered.protected, promotion: law.promotion })
}

/// Gold of images that assay.hcl does not declare any more: nothing but a person takes it out of use.
async fn undeclared(books: &LedgerSnapshot, law: &ConfigFile) -> Result<Vec<String>, LedgerError> {
    let mut notes = Vec::new();
    for path in books.list("images/").await? {
        let name = path.strip_prefix("images/").and_then(|file| file.strip_suffix(".lock.hcl"));
        let Some(image) = name.and_then(|name| name.parse::<ImageName>().ok()) else { continue };
        if law.image(&image).is_some() {
            continue;
        }
        match books.lock(&image).await {
            Ok(lock) => notes.extend(lock.gold.map(|gold| {
                format!(
                    "image {image}: assay.hcl does not declare it, and run {gold} is gold in {path}: its AMIs keep their protection, shares and parameters. Declare it \
                     again, or take it out of use: assay revoke --image {image} --run {gold} --force --reason …"
                )
            })),
            Err(error @ LedgerError::Unreadable { .. }) => notes.push(assay_model::cause::chain(&error)),
            Err(error) => return Err(error),
        }
    }
    Ok(notes)
}

/// What differs in git itself; nothing where there is no protected branch to look at.
async fn in_git(
    request: &StatusRequest,
    gathered: &GatheredFacts,
    subjects: &[StatusSubject],
    environment: &GitEnvironment,
) -> Result<Vec<StatusDrift>, PlanError> {
    let Some(books) = &gathered.protected else { return Ok(Vec::new()) };
    let path = path_of_config(request, environment).await?;
    let prefix = path.rfind('/').map_or("", |end| &path[..=end]);
    let mut drift = Vec::new();
    for subject in subjects {
        drift.extend(projections::look(books, prefix, subject).await?);
    }
    Ok(drift)
}

/// assay.hcl from the repository's root.
async fn path_of_config(request: &StatusRequest, environment: &GitEnvironment) -> Result<String, LedgerError> {
    let file = &request.plan.file;
    let name = file.shown.file_name().map_or_else(|| file::FILE_NAME.into(), std::ffi::OsStr::to_owned);
    ledger::path_in_repository(&file.folder.join(name), environment).await
}

/// assay.hcl as the protected branch has it; as it is here, where there is no such branch.
async fn law(
    request: &StatusRequest,
    gathered: &GatheredFacts,
    environment: &GitEnvironment,
) -> Result<ConfigFile, PlanError> {
    let file = &request.plan.file;
    let Some(books) = &gathered.protected else { return Ok(file.clone()) };
    let path = path_of_config(request, environment).await?;
    match read(books, &path, file, &request.plan.file.git.branch).await? {
        Ok(law) => Ok(law),
        Err(problems) => Err(PlanError::Configuration(problems)),
    }
}

/// Reads assay.hcl of a commit; without one, nothing is declared.
async fn read(
    books: &LedgerSnapshot,
    path: &str,
    here: &ConfigFile,
    branch: &str,
) -> Result<Result<ConfigFile, Vec<assay_config::ConfigProblem>>, LedgerError> {
    let Some(bytes) = books.file(path).await? else {
        return Ok(Ok(ConfigFile { images: Vec::new(), ..here.clone() }));
    };
    let shown = format!("{branch}:{path}");
    let mut problems = Vec::new();
    let parsed = file::parse(
        &here.folder.join(file::FILE_NAME),
        Path::new(&shown),
        &String::from_utf8_lossy(&bytes),
        &mut problems,
    );
    Ok(match parsed {
        Some(law) if problems.is_empty() => Ok(law),
        _ => Err(problems),
    })
}

/// In whose name AMIs are tagged here.
async fn owner(request: &StatusRequest, environment: &GitEnvironment) -> Option<String> {
    let folder = &request.plan.file.folder;
    let owner = request.owner.as_deref();
    let asked = ProvenanceRequest { folder, environment, owner, inputs: &[], projections: &[], build: "" };
    ledger::learn(asked).await.provenance.owner
}

fn image_status(
    request: &StatusRequest,
    gathered: &GatheredFacts,
    known: &KnownImage,
    decision: &BuildDecision,
    now: Timestamp,
) -> ImageStatus {
    let made = known.made(now);
    let gold = known.lock.gold.map(|run| GoldStatus {
        run,
        since: known.lock.gold_since(run).and_then(|at| at.parse().ok()),
        tested_at: made.iter().find(|made| made.run == run).map(|made| made.tested_at),
        amis: known.lock.amis(run),
    });
    let open = |state: ImageState| !matches!(state, ImageState::Gold | ImageState::Retired | ImageState::Revoked);
    let in_lock = |run: RunId| known.lock.state_of(run).is_some();
    let builds = made
        .iter()
        // What was rejected on the protected branch is history; a rejected build that waits there is not.
        .filter(|made| open(made.state) && !(made.state == ImageState::Rejected && in_lock(made.run)))
        .map(|made| (made.run, made.state, made.tested_at))
        .collect();
    let declared = in_order(&request.plan.file).into_iter().find(|image| image.name == decision.image);
    let parent = declared.and_then(|image| image.parent.as_ref()).map(|parent| {
        let stands_on = gold.as_ref().and_then(|gold| known.lock.candidate(gold.run)?.provenance.parent.clone());
        let theirs = gathered.images.get(parent).and_then(|known| Some(known.lock.amis(known.lock.gold?)));
        let current = stands_on.zip(theirs).map(|(ami, theirs)| theirs.iter().any(|record| record.ami.id == ami));
        (parent.clone(), current)
    });
    ImageStatus { decision: decision.clone(), gold, builds, parent }
}
