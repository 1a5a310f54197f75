//! `sweep`: what runs left behind, found in the cloud's own records. It owns where to look and in whose name; the proof is `journal::proof`'s.

use std::time::Duration;

use super::event::Events;
use crate::{
    cloud::{CloudError, CloudFactory, Ec2Factory},
    config::request::SweepRequest,
    journal::{
        UndoPolicy,
        proof::Scope,
        sweep::{self, Plan},
    },
    ledger::{self, ProvenanceRequest},
    model::evidence::Leftover,
};

/// How long removing may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a sweep found and did.
#[derive(Debug)]
pub struct Swept {
    /// Everything with our tags in scope.
    pub plan: Plan,
    /// What could not be removed; `None`: nothing was to be removed, only shown.
    pub left: Option<Vec<Leftover>>,
    /// The owner that was looked for.
    pub owner: Option<String>,
}

/// Looks, and with `request.yes` removes. Fails where the regions cannot be listed.
pub async fn sweep(request: &SweepRequest, events: &Events) -> Result<Swept, CloudError> {
    let factory = Ec2Factory::connect(&request.access).await;
    let owner = match &request.owner {
        Some(owner) => Some(owner.clone()),
        None if request.run.is_some() => None,
        None => owner_of_repository().await,
    };
    let regions = if request.regions.is_empty() { factory.regions().await? } else { request.regions.clone() };
    let scope = Scope {
        run: request.run,
        owner: owner.clone(),
        named: request.run.is_some() || request.owner_named,
        older_than: request.older_than,
    };
    let plan = sweep::plan(&factory, &regions, &scope).await;
    let left = if request.yes {
        events.note(format!("removing {} things", plan.removals().count()));
        Some(sweep::execute(&factory, &plan, &scope, UndoPolicy::within(PATIENCE)).await)
    } else {
        None
    };
    Ok(Swept { plan, left, owner })
}

async fn owner_of_repository() -> Option<String> {
    let environment = ledger::environment_of_process();
    let folder = std::env::current_dir().ok()?;
    let asked =
        ProvenanceRequest { folder: &folder, environment: &environment, owner: None, inputs: &[], projections: &[] };
    ledger::learn(asked).await.provenance.owner
}
