//! What a region needs before anything can be launched in it: our key pair, and a security group that admits us. It owns their creation and the
//! retry of creating calls in general; it refuses to remove anything.

use std::{collections::BTreeMap, future::Future, time::Duration};

use rand_core::RngCore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Order, tags,
    target::{Outcome, cancelled, of_cloud, of_journal, undecided},
};
use crate::{
    cloud::{Cloud, CloudErrorKind, CloudResult},
    journal::{Journal, Kind, Step},
    model::tags::RUN,
    model::{UndecidedKind, evidence::Undecided},
};

/// How fast to ask. Tests ask faster.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// How long a thing just created may remain invisible to the calls that use it.
    pub(super) visibility: Duration,
    /// The pause before a call is made again; it doubles.
    pub(super) first_pause: Duration,
    /// Up to here.
    pub(super) longest_pause: Duration,
    /// The pause before the first look at launched instances; it grows.
    pub(super) first_look: Duration,
    /// Up to here.
    pub(super) longest_look: Duration,
    /// Up to here while EC2 throttles.
    pub(super) longest_throttled: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            visibility: Duration::from_secs(30),
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(8),
            first_look: Duration::from_millis(300),
            longest_look: Duration::from_secs(2),
            longest_throttled: Duration::from_secs(15),
        }
    }
}

/// What is used to create things in one region.
pub(super) struct Site<'a> {
    pub(super) cloud: &'a dyn Cloud,
    pub(super) journal: &'a Journal,
    pub(super) order: &'a Order,
    pub(super) tags: &'a BTreeMap<String, String>,
    pub(super) cancel: &'a CancellationToken,
    pub(super) pace: Pace,
    /// When to stop trying.
    pub(super) deadline: Instant,
}

/// What every launch of a region uses.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    pub(super) key_name: String,
    pub(super) security_group_ids: Vec<String>,
    pub(super) subnet_id: Option<String>,
}

impl Site<'_> {
    /// Key pair and group, at the same time. Where one fails, what the other made is in the journal.
    pub(super) async fn prepare(&self, public_key: &str, cidrs: &[String]) -> Result<Ground, Undecided> {
        let launch = &self.order.launch;
        let subnet_id = launch.subnets.get(self.cloud.region()).or(launch.subnet_id.as_ref()).cloned();
        let groups = async {
            if launch.security_group_ids.is_empty() {
                self.security_group(subnet_id.as_deref(), cidrs).await.map(|id| vec![id])
            } else {
                Ok(launch.security_group_ids.clone())
            }
        };
        let (key_name, security_group_ids) = tokio::join!(self.key_pair(public_key), groups);
        Ok(Ground { key_name: key_name?, security_group_ids: security_group_ids?, subnet_id })
    }

    async fn key_pair(&self, public_key: &str) -> Result<String, Undecided> {
        let step = self.begin(Kind::KeyPair)?;
        let tags = tags::named(self.tags, &step.name);
        let outcome = self.insist(&[], || self.cloud.import_key_pair(&step.name, public_key, &tags)).await;
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

    async fn security_group(&self, subnet: Option<&str>, cidrs: &[String]) -> Result<String, Undecided> {
        let vpc = self.vpc(subnet).await?;
        let step = self.begin(Kind::SecurityGroup)?;
        let tags = tags::named(self.tags, &step.name);
        let create = || self.cloud.create_security_group(&step.name, Some(&vpc), &tags);
        let outcome = self.insist(&[], create).await;
        let id = match outcome.answer {
            Ok(id) => id,
            Err(error) if error.kind == CloudErrorKind::Duplicate => self.group_named(&step.name).await?,
            Err(error) => {
                self.not_made(&step, &error, outcome.ambiguous);
                return Err(of_cloud(&error));
            }
        };
        self.made(&step, &id);
        let port = self.order.ssh.port;
        let admit = || self.cloud.authorize_ingress(&id, port, cidrs);
        match self.insist(&[CloudErrorKind::NotFound], admit).await.answer {
            Err(error) if error.kind != CloudErrorKind::Duplicate => Err(of_cloud(&error)),
            _ => Ok(id),
        }
    }

    async fn vpc(&self, subnet: Option<&str>) -> Result<String, Undecided> {
        if let Some(vpc) = &self.order.launch.vpc_id {
            return Ok(vpc.clone());
        }
        let found = self.insist(&[], || self.cloud.vpc_of(subnet)).await.answer.map_err(|e| of_cloud(&e))?;
        found.ok_or_else(|| {
            let reason = format!("{} has no default VPC: set subnet_id (or subnet_ids)", self.cloud.region());
            undecided(UndecidedKind::Configuration, reason)
        })
    }

    /// The id of our group of that name, which exists but may not be listed yet.
    async fn group_named(&self, name: &str) -> Result<String, Undecided> {
        let mine = [(RUN.to_owned(), self.order.run.to_string())];
        let deadline = Instant::now() + self.pace.visibility;
        loop {
            let listed = self.insist(&[], || self.cloud.find_security_groups(&mine)).await.answer;
            let listed = listed.map_err(|error| of_cloud(&error))?;
            if let Some(group) = listed.into_iter().find(|group| group.name == name) {
                return Ok(group.id);
            }
            if Instant::now() >= deadline || !self.pause(self.pace.first_pause).await {
                let reason = format!("security group {name} was created but is not listed");
                return Err(undecided(UndecidedKind::Cloud, reason));
            }
        }
    }

    /// The journal's line, unless the run was cancelled. Only after this may the creating call be made.
    pub(super) fn begin(&self, kind: Kind) -> Result<Step, Undecided> {
        if self.cancel.is_cancelled() {
            return Err(cancelled());
        }
        self.journal.intend(kind, self.cloud.region()).map_err(|error| of_journal(&error))
    }

    /// Notes the id. When that cannot be written, the name in the intent still leads to it.
    pub(super) fn made(&self, step: &Step, id: &str) {
        if let Err(error) = self.journal.created(step.number, id) {
            tracing::warn!(%error, id, "the journal could not be written");
        }
    }

    /// Notes a refusal, if it is one: after an unanswered try, or without an answer, the step stays open and undo looks it up.
    pub(super) fn not_made(&self, step: &Step, error: &crate::cloud::CloudError, ambiguous: bool) {
        if ambiguous || error.kind == CloudErrorKind::Unknown {
            return;
        }
        if let Err(error) = self.journal.refused(step.number, &error.to_string()) {
            tracing::warn!(%error, "the journal could not be written");
        }
    }

    /// Makes a call until it is answered, with growing pauses: throttling, silence, and errors of the kinds in `also` (those for
    /// [`Pace::visibility`] at most) are tried again until the deadline or a cancellation. A call that was begun is always waited for.
    pub(super) async fn insist<T, F>(&self, also: &[CloudErrorKind], mut call: impl FnMut() -> F) -> Outcome<T>
    where
        F: Future<Output = CloudResult<T>>,
    {
        let (mut ambiguous, mut pause) = (false, self.pace.first_pause);
        let visible_by = Instant::now() + self.pace.visibility;
        loop {
            let answer = call().await;
            let Err(error) = &answer else { return Outcome { answer, ambiguous } };
            let kind = error.kind;
            let again = kind.may_pass() || (also.contains(&kind) && Instant::now() < visible_by);
            if !again || Instant::now() + pause >= self.deadline || !self.pause(jittered(pause)).await {
                return Outcome { answer, ambiguous };
            }
            ambiguous |= kind == CloudErrorKind::Unknown;
            pause = (pause * 2).min(self.pace.longest_pause);
        }
    }

    /// Waits; false when the run was cancelled meanwhile.
    async fn pause(&self, length: Duration) -> bool {
        tokio::select! {
            () = self.cancel.cancelled() => false,
            () = tokio::time::sleep(length) => true,
        }
    }
}

/// Between the length and half as much again, so that regions and processes do not ask in step.
pub(super) fn jittered(length: Duration) -> Duration {
    length + length.mul_f64(f64::from(rand_core::OsRng.next_u32()) / f64::from(u32::MAX) / 2.0)
}
