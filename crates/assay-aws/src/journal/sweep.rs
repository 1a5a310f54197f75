//! Finding and removing what runs left behind, from the cloud's own records: no journal is needed, so it works from anywhere. It owns the
//! plan and its careful execution; what is provable is `proof`'s, how a thing is ended is `removal`'s.
//!
//! Every filter that EC2 is given is checked again on what comes back, and a thing's tags are read and judged again right before it is
//! removed: a sweeper whose filter was ignored once deleted everything (gruntwork-io/cloud-nuke#930).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::{join, join_all};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{
    JournaledKind, UndoPolicy,
    proof::{self, ResourceFacts, ResourceMaker, SweepScope},
    removal::{self, InstanceKey, RemovalOrigin},
    undo::isolated,
};
use crate::cloud::{Cloud, CloudError, CloudFactory, CloudResult};
use assay_model::{Region, evidence::Leftover, tags};

/// How long a removal that has begun may go on after a cancel.
const AFTER_CANCEL: Duration = Duration::from_secs(6);
const NOT_BEGUN: &str = "not removed: the sweep was cancelled before";

/// What a sweep found in all regions.
#[derive(Debug, Default)]
pub struct SweepPlan {
    /// Everything that carries our tags and is in scope, by region, then kind.
    pub items: Vec<SweepItem>,
    /// Regions that could not be looked at.
    pub errors: Vec<CloudError>,
}

/// One thing with our tags.
#[derive(Debug, Clone)]
pub struct SweepItem {
    /// Where.
    pub region: Region,
    /// EC2's id.
    pub id: String,
    /// A key pair's or group's name, which is what deletes a key pair.
    pub name: String,
    /// What the cloud says of it.
    pub facts: ResourceFacts,
    /// An instance's volumes: they are removed with it.
    pub volumes: Vec<String>,
    /// Who made it and why it may go, or why it stays.
    pub finding: Result<(ResourceMaker, String), String>,
}

impl SweepPlan {
    /// What would be removed.
    pub fn removals(&self) -> impl Iterator<Item = &SweepItem> {
        self.items.iter().filter(|item| item.finding.is_ok())
    }
}

/// Looks at `regions`, all at once. Removes nothing.
pub async fn plan(clouds: &dyn CloudFactory, regions: &[Region], scope: &SweepScope) -> SweepPlan {
    let now = Timestamp::now();
    let looks = regions.iter().map(|region| async { look(clouds.region(region), scope, now).await });
    let mut plan = SweepPlan::default();
    for found in join_all(looks).await {
        match found {
            Ok(items) => plan.items.extend(items),
            Err(error) => plan.errors.push(error),
        }
    }
    plan
}

/// Removes what `plan` says may go and is still provable at that moment. Returns what could not be confirmed gone; things whose proof no longer
/// holds are left alone and come back as well. After a cancel no removal is begun, and one that has begun gets a moment to be confirmed.
pub async fn execute(
    clouds: &dyn CloudFactory,
    plan: &SweepPlan,
    scope: &SweepScope,
    policy: UndoPolicy,
    cancel: &CancellationToken,
) -> Vec<Leftover> {
    let mut regions: BTreeMap<&Region, Vec<&SweepItem>> = BTreeMap::new();
    for item in plan.removals() {
        regions.entry(&item.region).or_default().push(item);
    }
    let all = regions
        .into_iter()
        .map(|(region, items)| sweep_region(clouds.region(region), items, SweepRemoval { scope, policy, cancel }));
    join_all(all).await.into_iter().flatten().collect()
}

/// The filter given to EC2; `judge` demands the same of every answer.
fn filter(scope: &SweepScope) -> Vec<(String, String)> {
    let mut wanted = vec![(tags::MANAGED.to_owned(), "true".to_owned())];
    wanted.extend(scope.run.map(|run| (tags::RUN.to_owned(), run.to_string())));
    wanted.extend(scope.owner.clone().map(|owner| (tags::OWNER.to_owned(), owner)));
    wanted
}

async fn look(cloud: Arc<dyn Cloud>, scope: &SweepScope, now: Timestamp) -> CloudResult<Vec<SweepItem>> {
    let wanted = filter(scope);
    let region = cloud.region().clone();
    let item = |id: &str, name: &str, facts: ResourceFacts, volumes: Vec<String>| {
        let finding = proof::judge(&facts, scope, now);
        SweepItem { region: region.clone(), id: id.to_owned(), name: name.to_owned(), facts, volumes, finding }
    };
    let mut items = Vec::new();
    let mut attached = Vec::new();
    for instance in cloud.find_instances(&wanted).await? {
        attached.extend(instance.volumes.clone());
        if !matches!(instance.state.as_str(), "terminated" | "shutting-down") {
            items.push(item(&instance.id, "", ResourceFacts::of_instance(&instance), instance.volumes));
        }
    }
    for pair in cloud.find_key_pairs(&wanted).await? {
        items.push(item(&pair.id, &pair.name, ResourceFacts::of_named(JournaledKind::KeyPair, &pair), Vec::new()));
    }
    for group in cloud.find_security_groups(&wanted).await? {
        items.push(item(
            &group.id,
            &group.name,
            ResourceFacts::of_named(JournaledKind::SecurityGroup, &group),
            Vec::new(),
        ));
    }
    for (id, tags) in cloud.find_volumes(&wanted).await? {
        if !attached.contains(&id) {
            let facts = ResourceFacts { kind: JournaledKind::Volume, witnesses: Vec::new(), created_at: None, tags };
            items.push(item(&id, "", facts, Vec::new()));
        }
    }
    Ok(items)
}

/// How one sweep removes.
#[derive(Clone, Copy)]
struct SweepRemoval<'a> {
    scope: &'a SweepScope,
    policy: UndoPolicy,
    cancel: &'a CancellationToken,
}

async fn sweep_region(cloud: Arc<dyn Cloud>, items: Vec<&SweepItem>, how: SweepRemoval<'_>) -> Vec<Leftover> {
    let of = |kind: JournaledKind| items.iter().filter(move |item| item.facts.kind == kind);
    let one = |item: &&SweepItem| sweep_one(cloud.clone(), (*item).clone(), how);
    let keys = join_all(of(JournaledKind::KeyPair).map(one));
    let rest = async {
        let mut left = join_all(of(JournaledKind::Instance).map(one)).await;
        left.extend(join_all(of(JournaledKind::SecurityGroup).map(one)).await);
        left
    };
    let (keys, rest) = join(keys, rest).await;
    keys.into_iter().chain(rest).flatten().collect()
}

async fn sweep_one(cloud: Arc<dyn Cloud>, item: SweepItem, how: SweepRemoval<'_>) -> Option<Leftover> {
    let SweepRemoval { scope, policy, cancel } = how;
    let removing = isolated(async {
        still_provable(cloud.as_ref(), &item, scope).await?;
        if cancel.is_cancelled() {
            return Err(NOT_BEGUN.to_owned());
        }
        remove(cloud.as_ref(), &item, policy).await
    });
    let outcome = if cancel.is_cancelled() {
        Err(NOT_BEGUN.to_owned())
    } else {
        tokio::select! {
            outcome = removing => outcome,
            () = async { cancel.cancelled().await; tokio::time::sleep(AFTER_CANCEL).await } => {
                Err("the sweep was cancelled before its end was confirmed".to_owned())
            }
        }
    };
    let reason = outcome.err()?;
    Some(Leftover {
        region: item.region.to_string(),
        kind: item.facts.kind.as_str().to_owned(),
        id: item.id.clone(),
        reason,
        cure: "run the same assay sweep again".to_owned(),
    })
}

/// Reads the tags now and judges again: what was ours when the plan was made may have been taken over since.
async fn still_provable(cloud: &dyn Cloud, item: &SweepItem, scope: &SweepScope) -> Result<(), String> {
    let mut read = cloud.describe_tags(std::slice::from_ref(&item.id)).await.map_err(|error| error.to_string())?;
    let facts = ResourceFacts { tags: read.remove(&item.id).unwrap_or_default(), ..item.facts.clone() };
    proof::judge(&facts, scope, Timestamp::now()).map(drop).map_err(|why| format!("its tags changed: {why}"))
}

async fn remove(cloud: &dyn Cloud, item: &SweepItem, policy: UndoPolicy) -> Result<(), String> {
    // It was listed: it exists, and is old enough to be believed gone once it no longer is.
    let origin = RemovalOrigin { age: policy.settle, confirmed: true };
    let managed = [(tags::MANAGED.to_owned(), "true".to_owned())];
    match item.facts.kind {
        JournaledKind::Instance => {
            let key = InstanceKey::Id(item.id.clone());
            removal::end_instance(cloud, &key, &origin, policy, |_| {}).await?;
            for volume in &item.volumes {
                removal::delete_volume(cloud, volume, &managed, policy).await?;
            }
            Ok(())
        }
        JournaledKind::KeyPair => removal::delete_key_pair(cloud, &item.name, &managed, &origin, policy).await,
        JournaledKind::SecurityGroup => {
            removal::delete_security_group(cloud, &item.name, Some(&item.id), &managed, &origin, policy).await
        }
        // A volume has no witness: `judge` never lets one through on its own.
        JournaledKind::Volume => Err("a volume bears no name or token of its own".to_owned()),
    }
}
