//! What a region needs before anything can be launched in it: our key pair, and a security group that admits us. It owns their creation; it refuses
//! to remove anything.

use std::collections::BTreeMap;

use tokio::{sync::OnceCell, time::Instant};

use super::{
    FleetOrder,
    network::LaunchNetwork,
    offers::LaunchSubnet,
    patience::RetryPolicy,
    tags,
    target::{cancelled, of_cloud, of_journal, undecided},
};
use crate::{
    cloud::{Cloud, CloudErrorKind},
    journal::{Journal, JournalStep, JournaledKind},
};
use assay_model::{UndecidedKind, evidence::UndecidedReason, tags::RUN};

/// What is used to create things in one region.
#[derive(Clone, Copy)]
pub(super) struct RegionContext<'a> {
    pub(super) cloud: &'a dyn Cloud,
    pub(super) journal: &'a Journal,
    pub(super) order: &'a FleetOrder,
    pub(super) tags: &'a BTreeMap<String, String>,
    pub(super) patience: RetryPolicy<'a>,
}

/// What every launch of a region uses.
#[derive(Debug)]
pub(super) struct RegionResources {
    pub(super) key_name: String,
    pub(super) security_group_ids: Vec<String>,
    /// The subnets to launch in, in order; empty: EC2 chooses.
    pub(super) spots: Vec<LaunchSubnet>,
    /// The subnets that EC2 chooses from, looked up once where its choice had no room.
    pub(super) default_spots: OnceCell<Vec<LaunchSubnet>>,
}

impl RegionContext<'_> {
    /// Key pair and group, at the same time. Where one fails, what the other made is in the journal.
    pub(super) async fn prepare(&self, public_key: &str, cidrs: &[String]) -> Result<RegionResources, UndecidedReason> {
        // First, since they create nothing: a filter that matches nothing leaves nothing behind, nor does a role that may not clean up.
        let (network, rights) = tokio::join!(self.network(), self.clean_up_rights());
        let network = network?;
        rights?;
        let (key_name, groups) = tokio::join!(self.key_pair(public_key), self.groups(&network, cidrs));
        Ok(RegionResources {
            key_name: key_name?,
            security_group_ids: groups?,
            spots: network.spots,
            default_spots: OnceCell::new(),
        })
    }

    /// The user's own groups, by id or else by filter; else a temporary one.
    async fn groups(&self, network: &LaunchNetwork, cidrs: &[String]) -> Result<Vec<String>, UndecidedReason> {
        let launch = &self.order.launch;
        if !launch.security_group_ids.is_empty() {
            return Ok(launch.security_group_ids.clone());
        }
        if let Some(filters) = &launch.security_group_filter {
            return self.groups_by_filter(filters, network).await;
        }
        self.security_group(network, cidrs).await.map(|id| vec![id])
    }

    async fn key_pair(&self, public_key: &str) -> Result<String, UndecidedReason> {
        let step = self.begin(JournaledKind::KeyPair)?;
        let tags = tags::named(self.tags, &step.name);
        let outcome = self.patience.insist(&[], || self.cloud.import_key_pair(&step.name, public_key, &tags)).await;
        match outcome.answer {
            // The name is nobody else's: an earlier try of ours made it, and its answer was lost.
            Err(ref error) if error.kind == CloudErrorKind::Duplicate => self.made(&step, &step.name),
            Ok(_) => self.made(&step, &step.name),
            Err(error) => {
                self.not_made(&step, &error, outcome.ambiguous);
                return Err(of_cloud(&error));
            }
        }
        Ok(step.name)
    }

    async fn security_group(&self, network: &LaunchNetwork, cidrs: &[String]) -> Result<String, UndecidedReason> {
        let vpc = self.vpc_for_group(network).await?;
        let step = self.begin(JournaledKind::SecurityGroup)?;
        let tags = tags::named(self.tags, &step.name);
        let create = || self.cloud.create_security_group(&step.name, Some(&vpc), &tags);
        let outcome = self.patience.insist(&[], create).await;
        let id = match outcome.answer {
            Ok(id) => id,
            Err(error) if error.kind == CloudErrorKind::Duplicate => self.group_named(&step.name).await?,
            Err(error) => {
                self.not_made(&step, &error, outcome.ambiguous);
                return Err(of_cloud(&error));
            }
        };
        self.made(&step, &id);
        if cidrs.is_empty() {
            return Ok(id);
        }
        let port = self.order.ssh.port;
        let admit = || self.cloud.authorize_ingress(&id, port, cidrs);
        match self.patience.insist(&[CloudErrorKind::NotFound], admit).await.answer {
            Err(error) if error.kind != CloudErrorKind::Duplicate => Err(of_cloud(&error)),
            _ => Ok(id),
        }
    }

    /// The id of our group of that name, which exists but may not be listed yet.
    async fn group_named(&self, name: &str) -> Result<String, UndecidedReason> {
        let mine = [(RUN.to_owned(), self.order.run.to_string())];
        let deadline = Instant::now() + self.patience.pace.visibility;
        loop {
            let listed = self.patience.insist(&[], || self.cloud.find_security_groups(&mine)).await.answer;
            let listed = listed.map_err(|error| of_cloud(&error))?;
            if let Some(group) = listed.into_iter().find(|group| group.name == name) {
                return Ok(group.id);
            }
            if Instant::now() >= deadline || !self.patience.pause(self.patience.pace.first_pause).await {
                let reason = format!("security group {name} was created but is not listed");
                return Err(undecided(UndecidedKind::Cloud, reason));
            }
        }
    }

    /// The journal's line, unless the run was cancelled. Only after this may the creating call be made.
    pub(super) fn begin(&self, kind: JournaledKind) -> Result<JournalStep, UndecidedReason> {
        if self.patience.cancel.is_cancelled() {
            return Err(cancelled());
        }
        self.journal.intend(kind, self.cloud.region()).map_err(|error| of_journal(&error))
    }

    /// Notes the id. When that cannot be written, the name in the intent still leads to it.
    pub(super) fn made(&self, step: &JournalStep, id: &str) {
        if let Err(error) = self.journal.created(step.number, id) {
            tracing::warn!(%error, id, "the journal could not be written");
        }
    }

    /// Notes a refusal, if it is one: after an unanswered try, or without an answer, the step stays open and undo looks it up.
    pub(super) fn not_made(&self, step: &JournalStep, error: &crate::cloud::CloudError, ambiguous: bool) {
        if ambiguous || error.kind == CloudErrorKind::Unknown {
            return;
        }
        if let Err(error) = self.journal.refused(step.number, &error.to_string()) {
            tracing::warn!(%error, "the journal could not be written");
        }
    }
}
