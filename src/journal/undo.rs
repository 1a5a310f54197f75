//! Undo of everything that a record holds. It owns the order (instances, then what they used) and the isolation: whatever one removal
//! does, error or panic, the others are tried. It may be called again at any time; what is confirmed gone is not touched twice.

use std::{any::Any, collections::BTreeMap, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{
    FutureExt,
    future::{join, join_all},
};
use jiff::Timestamp;

use super::{
    Journal, Kind, Step, UndoPolicy,
    removal::{self, InstanceKey, Origin},
};
use crate::{
    cloud::{Cloud, CloudFactory, Instance, plain},
    model::{Region, RunId, evidence::Leftover, tags},
};

/// Removes all that `journal` holds as open, in all regions at once. Returns what could not be confirmed gone, each with its reason and
/// cure; it stays open in the journal. Never fails and never panics.
pub async fn undo(clouds: &dyn CloudFactory, journal: &Journal, policy: UndoPolicy) -> Vec<Leftover> {
    let mut regions: BTreeMap<Region, Vec<Step>> = BTreeMap::new();
    for step in journal.open_steps() {
        regions.entry(step.region.clone()).or_default().push(step);
    }
    if let Err(reason) = right_account(clouds, journal, !regions.is_empty()).await {
        let open = regions.into_values().flatten();
        return open.map(|step| give_up(journal, &step, &reason)).collect();
    }
    let all = regions.into_iter().map(|(region, steps)| undo_region(clouds.region(&region), journal, steps, policy));
    join_all(all).await.into_iter().flatten().collect()
}

/// Other credentials than those of the run would find nothing and call it gone.
async fn right_account(clouds: &dyn CloudFactory, journal: &Journal, needed: bool) -> Result<(), String> {
    let Some(expected) = journal.header().account.as_ref().filter(|_| needed) else { return Ok(()) };
    match clouds.caller_account().await {
        Ok(account) if account == *expected => Ok(()),
        Ok(account) => Err(format!("the credentials belong to account {account}, it was made in {expected}")),
        // STS may be out of reach where EC2 is not; an id of another account is then simply not found and stays open.
        Err(_) => Ok(()),
    }
}

async fn undo_region(cloud: Arc<dyn Cloud>, journal: &Journal, steps: Vec<Step>, policy: UndoPolicy) -> Vec<Leftover> {
    let of = |kind: Kind| steps.iter().filter(move |step| step.kind == kind).cloned();
    let one = |step: Step| undo_step(cloud.as_ref(), journal, step, policy);
    // Key pairs depend on nothing. Groups and volumes are held by instances until these have ended.
    let keys = join_all(of(Kind::KeyPair).map(one));
    let rest = async {
        let mut left = join_all(of(Kind::Instance).map(one)).await;
        left.push(isolated(end_strays(cloud.as_ref(), journal, policy)).await.err().map(|reason| {
            let (region, prefix) = (cloud.region().to_string(), journal.names().prefix().to_owned());
            leftover(journal, region, Kind::Instance, format!("{prefix}-*"), reason)
        }));
        // Ending the instances has told of their volumes.
        let region = cloud.region();
        let volumes = journal.open_steps().into_iter().filter(|s| s.kind == Kind::Volume && s.region == *region);
        left.extend(join_all(of(Kind::SecurityGroup).chain(volumes).map(one)).await);
        left
    };
    let (keys, rest) = join(keys, rest).await;
    keys.into_iter().chain(rest).flatten().collect()
}

/// Ends what this process launched here but the record does not show: an instance that became visible only after it was believed never to
/// have been made, or whose line was damaged. Its client token, which begins with this process's names, proves whose it is.
async fn end_strays(cloud: &dyn Cloud, journal: &Journal, policy: UndoPolicy) -> Result<(), String> {
    let found = cloud.find_instances(&run_filter(&journal.header().run)).await.map_err(|error| error.to_string())?;
    let ours = |i: &Instance| i.client_token.as_ref().is_some_and(|token| token.starts_with(journal.names().prefix()));
    let running = |i: &Instance| !matches!(i.state.as_str(), "terminated" | "shutting-down");
    for stray in found.iter().filter(|i| ours(i) && running(i)) {
        let origin = Origin { age: policy.settle, confirmed: true };
        let volumes = |seen: &Instance| note_volumes(journal, cloud.region(), seen);
        removal::end_instance(cloud, &InstanceKey::Id(stray.id.clone()), &origin, policy, volumes).await?;
    }
    Ok(())
}

async fn undo_step(cloud: &dyn Cloud, journal: &Journal, step: Step, policy: UndoPolicy) -> Option<Leftover> {
    note(journal.undo_started(step.number));
    match isolated(remove(cloud, journal, &step, policy)).await {
        Ok(()) => {
            note(journal.undone(step.number));
            None
        }
        Err(reason) => Some(give_up(journal, &step, &reason)),
    }
}

async fn remove(cloud: &dyn Cloud, journal: &Journal, step: &Step, policy: UndoPolicy) -> Result<(), String> {
    let mine = run_filter(&journal.header().run);
    let origin = Origin { age: age(step.at), confirmed: step.id.is_some() };
    match step.kind {
        Kind::Instance => {
            let key = match &step.id {
                Some(id) => InstanceKey::Id(id.clone()),
                None => InstanceKey::Token(step.name.clone()),
            };
            removal::end_instance(cloud, &key, &origin, policy, |seen| note_instance(journal, step, seen)).await
        }
        Kind::KeyPair => removal::delete_key_pair(cloud, &step.name, &mine, &origin, policy).await,
        Kind::SecurityGroup => {
            removal::delete_security_group(cloud, &step.name, step.id.as_deref(), &mine, &origin, policy).await
        }
        Kind::Volume => removal::delete_volume(cloud, &step.name, &mine, policy).await,
    }
}

fn note_instance(journal: &Journal, step: &Step, seen: &Instance) {
    if step.id.is_none() {
        note(journal.created(step.number, &seen.id));
    }
    note_volumes(journal, &step.region, seen);
}

fn note_volumes(journal: &Journal, region: &Region, seen: &Instance) {
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

fn give_up(journal: &Journal, step: &Step, reason: &str) -> Leftover {
    note(journal.undo_failed(step.number, reason));
    let id = step.id.clone().unwrap_or_else(|| step.name.clone());
    leftover(journal, step.region.to_string(), step.kind, id, reason.to_owned())
}

fn leftover(journal: &Journal, region: String, kind: Kind, id: String, reason: String) -> Leftover {
    let cure = format!("assay sweep --run {} --yes", journal.header().run);
    Leftover { region, kind: kind.as_str().to_owned(), id, reason, cure }
}

/// A line that could not be written does not stop a removal: undoing twice is harmless, not undoing is not.
fn note(written: Result<(), super::JournalError>) {
    if let Err(error) = written {
        tracing::warn!(%error, "the journal could not be written during undo");
    }
}
