//! Undo of everything that a record holds. It owns the order (instances, then what they used) and the isolation: whatever one removal
//! does, error or panic, the others are tried. It may be called again at any time; what is confirmed gone is not touched twice.

use std::{any::Any, collections::BTreeMap, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{
    FutureExt,
    future::{join, join_all},
};
use jiff::Timestamp;
use tokio::time::{sleep, timeout_at};

use super::{
    Journal, JournalStep, JournaledKind, UndoPolicy,
    removal::{self, InstanceKey, RemovalOrigin},
};
use crate::cloud::{Cloud, CloudFactory, CloudInstance, plain};
use assay_model::{Region, RunId, evidence::Leftover, tags};

/// How often it is asked whose credentials these are.
const ACCOUNT_TRIES: u32 = 3;
const NO_ANSWER: &str = "EC2 did not answer in time";

/// Removes all that `journal` holds as open, in all regions at once. Returns what could not be confirmed gone, each with its reason and
/// cure; it stays open in the journal. Never fails and never panics.
pub async fn undo(clouds: &dyn CloudFactory, journal: &Journal, policy: UndoPolicy) -> Vec<Leftover> {
    let mut regions: BTreeMap<Region, Vec<JournalStep>> = BTreeMap::new();
    for step in journal.open_steps() {
        regions.entry(step.region.clone()).or_default().push(step);
    }
    if journal.damaged() > 0 {
        for region in where_lines_were_lost(clouds, journal, policy).await {
            regions.entry(region).or_default();
        }
    }
    let believe_absence = match right_account(clouds, journal, !regions.is_empty(), policy).await {
        Ok(known) => known,
        Err(reason) => {
            let open = regions.into_values().flatten();
            return open.map(|step| give_up(journal, &step, &reason)).collect();
        }
    };
    let policy = UndoPolicy { believe_absence, ..policy };
    let all = regions.into_iter().map(|(region, steps)| undo_region(clouds.region(&region), journal, steps, policy));
    join_all(all).await.into_iter().flatten().collect()
}

/// Other credentials than those of the run would find nothing and call it gone. Returns whether these are known to be the right ones: where the token service is out of
/// reach EC2 may not be, and what is found there is removed all the same.
async fn right_account(
    clouds: &dyn CloudFactory,
    journal: &Journal,
    needed: bool,
    policy: UndoPolicy,
) -> Result<bool, String> {
    let Some(expected) = journal.header().account.as_ref().filter(|_| needed) else { return Ok(true) };
    for _ in 0..ACCOUNT_TRIES {
        match timeout_at(policy.last_answer(), clouds.caller_account()).await {
            Ok(Ok(account)) if account == *expected => return Ok(true),
            Ok(Ok(account)) => {
                return Err(format!("the credentials belong to account {account}, it was made in {expected}"));
            }
            Ok(Err(error)) => tracing::info!(%error, "whose credentials these are could not be learned"),
            Err(_) => break,
        }
        sleep(policy.pause).await;
    }
    Ok(false)
}

/// The regions in which something may be that no line tells of any more: those of all lines that can be read, else every one.
async fn where_lines_were_lost(clouds: &dyn CloudFactory, journal: &Journal, policy: UndoPolicy) -> Vec<Region> {
    match timeout_at(policy.last_answer(), clouds.regions()).await {
        Ok(Ok(regions)) => regions,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the journal is damaged, and the regions to look at could not be listed");
            journal.regions()
        }
        Err(_) => journal.regions(),
    }
}

async fn undo_region(
    cloud: Arc<dyn Cloud>,
    journal: &Journal,
    steps: Vec<JournalStep>,
    policy: UndoPolicy,
) -> Vec<Leftover> {
    let of = |kind: JournaledKind| steps.iter().filter(move |step| step.kind == kind).cloned();
    let one = |step: JournalStep, policy: UndoPolicy| undo_step(cloud.as_ref(), journal, step, policy);
    let stray = |kind: JournaledKind, outcome: Result<(), String>| {
        let (region, prefix) = (cloud.region().to_string(), journal.names().prefix().to_owned());
        outcome.err().map(|reason| leftover(journal, region, kind, format!("{prefix}-*"), reason))
    };
    // Key pairs depend on nothing. Groups and volumes are held by instances until these have ended.
    let keys = async {
        let mut left = join_all(of(JournaledKind::KeyPair).map(|step| one(step, policy))).await;
        if journal.damaged() > 0 {
            left.push(stray(
                JournaledKind::KeyPair,
                isolated(remove_stray_key_pairs(cloud.as_ref(), journal, policy)).await,
            ));
        }
        left
    };
    let rest = async {
        let mut left = join_all(of(JournaledKind::Instance).map(|step| one(step, policy))).await;
        let strays = timeout_at(policy.last_answer(), isolated(end_strays(cloud.as_ref(), journal, policy))).await;
        left.push(stray(JournaledKind::Instance, strays.unwrap_or_else(|_| Err(NO_ANSWER.to_owned()))));
        // Ending the instances has told of their volumes.
        let region = cloud.region();
        let volumes =
            journal.open_steps().into_iter().filter(|s| s.kind == JournaledKind::Volume && s.region == *region);
        // A group waits for instances that have ended, not for one that stays.
        let later = if left.iter().all(Option::is_none) { policy.after_instances() } else { policy };
        left.extend(join_all(of(JournaledKind::SecurityGroup).chain(volumes).map(|step| one(step, later))).await);
        if journal.damaged() > 0 {
            left.push(stray(
                JournaledKind::SecurityGroup,
                isolated(remove_stray_groups(cloud.as_ref(), journal, later)).await,
            ));
        }
        left
    };
    let (keys, rest) = join(keys, rest).await;
    keys.into_iter().chain(rest).flatten().collect()
}

/// Ends what this process launched here but the record does not show: an instance that became visible only after it was believed never to
/// have been made, or whose line was damaged. Its client token, which begins with this process's names, proves whose it is.
async fn end_strays(cloud: &dyn Cloud, journal: &Journal, policy: UndoPolicy) -> Result<(), String> {
    let found = cloud.find_instances(&run_filter(&journal.header().run)).await.map_err(|error| error.to_string())?;
    let ours =
        |i: &CloudInstance| i.client_token.as_ref().is_some_and(|token| token.starts_with(journal.names().prefix()));
    let running = |i: &CloudInstance| !matches!(i.state.as_str(), "terminated" | "shutting-down");
    for stray in found.iter().filter(|i| ours(i) && running(i)) {
        let origin = RemovalOrigin { age: policy.settle, confirmed: true };
        let volumes = |seen: &CloudInstance| note_volumes(journal, cloud.region(), seen);
        removal::end_instance(cloud, &InstanceKey::Id(stray.id.clone()), &origin, policy, volumes).await?;
    }
    Ok(())
}

/// Where lines were damaged: the key pairs of this run under names of this process.
async fn remove_stray_key_pairs(cloud: &dyn Cloud, journal: &Journal, policy: UndoPolicy) -> Result<(), String> {
    let mine = run_filter(&journal.header().run);
    let found =
        timeout_at(policy.last_answer(), cloud.find_key_pairs(&mine)).await.map_err(|_| NO_ANSWER.to_owned())?;
    let origin = RemovalOrigin { age: policy.settle, confirmed: true };
    for pair in found.map_err(|error| error.to_string())?.iter().filter(|pair| is_named(journal, &pair.name)) {
        removal::delete_key_pair(cloud, &pair.name, &mine, &origin, policy).await?;
    }
    Ok(())
}

/// Where lines were damaged: the security groups of this run under names of this process.
async fn remove_stray_groups(cloud: &dyn Cloud, journal: &Journal, policy: UndoPolicy) -> Result<(), String> {
    let mine = run_filter(&journal.header().run);
    let asked = timeout_at(policy.last_answer(), cloud.find_security_groups(&mine)).await;
    let found = asked.map_err(|_| NO_ANSWER.to_owned())?;
    let origin = RemovalOrigin { age: policy.settle, confirmed: true };
    for group in found.map_err(|error| error.to_string())?.iter().filter(|group| is_named(journal, &group.name)) {
        removal::delete_security_group(cloud, &group.name, Some(&group.id), &mine, &origin, policy).await?;
    }
    Ok(())
}

/// Whether a name is one that this process gives.
fn is_named(journal: &Journal, name: &str) -> bool {
    name.strip_prefix(journal.names().prefix()).is_some_and(|rest| rest.starts_with('-'))
}

async fn undo_step(cloud: &dyn Cloud, journal: &Journal, step: JournalStep, policy: UndoPolicy) -> Option<Leftover> {
    note(journal.undo_started(step.number));
    let removal = timeout_at(policy.last_answer(), isolated(remove(cloud, journal, &step, policy))).await;
    match removal.unwrap_or_else(|_| Err(NO_ANSWER.to_owned())) {
        Ok(()) => {
            note(journal.undone(step.number));
            None
        }
        Err(reason) => Some(give_up(journal, &step, &reason)),
    }
}

async fn remove(cloud: &dyn Cloud, journal: &Journal, step: &JournalStep, policy: UndoPolicy) -> Result<(), String> {
    let mine = run_filter(&journal.header().run);
    let origin = RemovalOrigin { age: age(step.at), confirmed: step.id.is_some() };
    match step.kind {
        JournaledKind::Instance => {
            let key = match &step.id {
                Some(id) => InstanceKey::Id(id.clone()),
                None => InstanceKey::Token(step.name.clone()),
            };
            removal::end_instance(cloud, &key, &origin, policy, |seen| note_instance(journal, step, seen)).await
        }
        JournaledKind::KeyPair => removal::delete_key_pair(cloud, &step.name, &mine, &origin, policy).await,
        JournaledKind::SecurityGroup => {
            removal::delete_security_group(cloud, &step.name, step.id.as_deref(), &mine, &origin, policy).await
        }
        JournaledKind::Volume => removal::delete_volume(cloud, &step.name, &mine, policy).await,
    }
}

fn note_instance(journal: &Journal, step: &JournalStep, seen: &CloudInstance) {
    if step.id.is_none() {
        note(journal.created(step.number, &seen.id));
    }
    note_volumes(journal, &step.region, seen);
}

fn note_volumes(journal: &Journal, region: &Region, seen: &CloudInstance) {
    for volume in &seen.volumes {
        note(journal.observe_volume(region, volume));
    }
}

/// The filter that finds what a run made.
pub(super) fn run_filter(run: &RunId) -> Vec<(String, String)> {
    vec![(tags::RUN.to_owned(), run.to_string())]
}

/// Runs one removal so that its panic is an error like any other.
pub(super) async fn isolated(removal: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    AssertUnwindSafe(removal).catch_unwind().await.unwrap_or_else(|panic| Err(panic_text(panic.as_ref())))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("assay itself failed: {}", plain(words.unwrap_or("a panic without words")))
}

/// How long ago; a clock that was set back in between counts as no time.
fn age(at: Timestamp) -> Duration {
    Duration::try_from(Timestamp::now().duration_since(at)).unwrap_or_default()
}

fn give_up(journal: &Journal, step: &JournalStep, reason: &str) -> Leftover {
    note(journal.undo_failed(step.number, reason));
    let id = step.id.clone().unwrap_or_else(|| step.name.clone());
    leftover(journal, step.region.to_string(), step.kind, id, reason.to_owned())
}

fn leftover(journal: &Journal, region: String, kind: JournaledKind, id: String, reason: String) -> Leftover {
    let cure = format!("assay sweep --run {} --yes", journal.header().run);
    Leftover { region, kind: kind.as_str().to_owned(), id, reason, cure }
}

/// A line that could not be written does not stop a removal: undoing twice is harmless, not undoing is not.
fn note(written: Result<(), super::JournalError>) {
    if let Err(error) = written {
        tracing::warn!(%error, "the journal could not be written during undo");
    }
}
