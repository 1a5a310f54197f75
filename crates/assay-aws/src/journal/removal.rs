//! Ending one thing until the cloud confirms that it is gone. It owns what "gone" means under EC2's eventual consistency and how long to
//! insist; it keeps no record and decides nothing about what may be removed. `undo` and `sweep` both end things by it.
//!
//! Gone means: an instance is seen as `terminated` (or, when time runs out, as `shutting-down`, from which nothing returns); a named thing that
//! was deleted is no longer listed. A thing that was never seen may merely not be visible yet (EC2 API reference, "Eventual
//! consistency"): it counts as gone only when several looks in a row found nothing *and* it is older than [`UndoPolicy::settle`].

use std::time::Duration;

use tokio::time::Instant;

use crate::cloud::{Cloud, CloudError, CloudErrorKind, CloudInstance, CloudResult, NamedResource};

/// How many looks in a row must find nothing.
const EMPTY_LOOKS: u32 = 3;
/// How often in a row a refusal that time does not cure is asked again.
const REFUSALS: u32 = 3;
/// How long at least: a source of credentials may be away for a moment.
const CREDENTIALS_PATIENCE: Duration = Duration::from_secs(30);
/// How long beyond the deadline a call that is under way may take to be answered.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// How long removal insists.
#[derive(Debug, Clone, Copy)]
pub struct UndoPolicy {
    /// When to give up.
    pub deadline: Instant,
    /// How old a creation must be before "not found" is believed.
    pub settle: Duration,
    /// The pause between two looks.
    pub pause: Duration,
    /// Up to which it doubles while EC2 throttles.
    pub longest_pause: Duration,
    /// How long after the instances' end what they used may take, where that is later than the deadline.
    pub after_instances: Duration,
    /// Whether what is not found counts as gone. Not where nobody knows whose credentials these are: another account's would find nothing.
    pub believe_absence: bool,
}

impl UndoPolicy {
    /// For a process that somebody waits for: until `patience` has passed.
    pub fn within(patience: Duration) -> Self {
        Self {
            deadline: Instant::now() + patience,
            settle: Duration::from_secs(45),
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(10),
            after_instances: Duration::from_secs(60),
            believe_absence: true,
        }
    }

    /// For a process that is to end: what is begun within `patience` is begun, the rest is left to the reaper.
    pub fn hurried(patience: Duration) -> Self {
        Self { after_instances: Duration::ZERO, ..Self::within(patience) }
    }

    /// For the reaper: ten minutes, and slow to believe that something is gone.
    pub fn reaper() -> Self {
        Self {
            deadline: Instant::now() + Duration::from_secs(600),
            settle: Duration::from_secs(120),
            pause: Duration::from_secs(2),
            longest_pause: Duration::from_secs(10),
            after_instances: Duration::from_secs(60),
            believe_absence: true,
        }
    }

    /// The same for what instances used, once these have ended: some types take longer than the deadline to shut down.
    pub(super) fn after_instances(self) -> Self {
        Self { deadline: self.deadline.max(Instant::now() + self.after_instances), ..self }
    }

    /// When also a call that is under way is given up. All calls of a removal may be made again.
    pub(super) fn last_answer(&self) -> Instant {
        self.deadline + LAST_ANSWER
    }
}

/// Where the thing to be removed came from.
#[derive(Debug, Clone)]
pub struct RemovalOrigin {
    /// How long ago its creation was begun.
    pub age: Duration,
    /// Whether EC2 ever confirmed that it exists.
    pub confirmed: bool,
}

/// The looks at one thing: counts, pauses, and the last reason why it is still there.
struct RemovalWatch {
    policy: UndoPolicy,
    settled_at: Instant,
    empty: u32,
    refusals: u32,
    refused_since: Option<Instant>,
    pause: Duration,
    reason: String,
}

impl RemovalWatch {
    fn new(policy: UndoPolicy, origin: &RemovalOrigin) -> Self {
        Self {
            policy,
            settled_at: Instant::now() + policy.settle.saturating_sub(origin.age),
            empty: 0,
            refusals: 0,
            refused_since: None,
            pause: policy.pause,
            reason: "there was no time to look".to_owned(),
        }
    }

    /// Takes an error into account. `Err` with the reason when waiting longer is pointless.
    fn failed(&mut self, error: &CloudError) -> Result<(), String> {
        self.reason = error.to_string();
        self.empty = 0;
        match error.kind {
            CloudErrorKind::Denied | CloudErrorKind::Credentials => {
                self.refusals += 1;
                let since = *self.refused_since.get_or_insert_with(Instant::now);
                let patient = error.kind == CloudErrorKind::Denied || since.elapsed() >= CREDENTIALS_PATIENCE;
                if self.refusals >= REFUSALS && patient { Err(self.reason.clone()) } else { Ok(()) }
            }
            CloudErrorKind::Throttled => {
                self.answered();
                self.pause = (self.pause * 2).min(self.policy.longest_pause);
                Ok(())
            }
            _ => {
                self.answered();
                Ok(())
            }
        }
    }

    /// Something else than a refusal came: those before it were no last word.
    fn answered(&mut self) {
        (self.refusals, self.refused_since) = (0, None);
    }

    /// Takes an empty look into account; true when it may be believed.
    fn nothing_there(&mut self) -> bool {
        self.empty += 1;
        if !self.policy.believe_absence {
            self.reason =
                "it is not found, and nobody knows whether these are the credentials of its account".to_owned();
            return false;
        }
        self.reason = "it was never seen, and is too young for that to prove that it does not exist".to_owned();
        self.empty >= EMPTY_LOOKS && Instant::now() >= self.settled_at
    }

    /// Waits for the next look. `Err` with the reason when the deadline comes first.
    async fn rest(&self) -> Result<(), String> {
        if Instant::now() + self.pause > self.policy.deadline {
            return Err(self.reason.clone());
        }
        tokio::time::sleep(self.pause).await;
        Ok(())
    }
}

/// How to find an instance.
#[derive(Debug, Clone)]
pub enum InstanceKey {
    /// By its id.
    Id(String),
    /// By the client token of its launch: the answer with the id was lost.
    Token(String),
}

/// Ends the instance (or every instance of the token). `seen` is told of each description before the instance is ended, so that its id and
/// volumes can be noted. Fails with the last reason.
pub async fn end_instance(
    cloud: &dyn Cloud,
    key: &InstanceKey,
    origin: &RemovalOrigin,
    policy: UndoPolicy,
    mut seen: impl FnMut(&CloudInstance),
) -> Result<(), String> {
    let mut watch = RemovalWatch::new(policy, origin);
    let mut ending = false;
    loop {
        match look(cloud, key).await {
            Ok(found) if found.is_empty() => {
                if watch.nothing_there() {
                    return Ok(());
                }
                if let InstanceKey::Id(id) = key {
                    // Not visible is not the same as not running; NotFound proves nothing either.
                    if terminate(cloud, id, &mut watch).await? {
                        watch.empty = 0;
                    }
                }
            }
            Ok(found) => {
                watch.empty = 0;
                found.iter().for_each(&mut seen);
                if found.iter().all(|instance| instance.state == "terminated") {
                    return Ok(());
                }
                ending = found.iter().all(|i| matches!(i.state.as_str(), "terminated" | "shutting-down"));
                watch.reason = format!("it is still {}", crate::cloud::plain(&found[0].state));
                for instance in found.iter().filter(|i| !matches!(i.state.as_str(), "terminated" | "shutting-down")) {
                    terminate(cloud, &instance.id, &mut watch).await?;
                }
            }
            Err(error) => watch.failed(&error)?,
        }
        match watch.rest().await {
            Err(_) if ending => return Ok(()),
            outcome => outcome?,
        }
    }
}

async fn look(cloud: &dyn Cloud, key: &InstanceKey) -> CloudResult<Vec<CloudInstance>> {
    match key {
        InstanceKey::Id(id) => cloud.describe_instances(std::slice::from_ref(id)).await,
        InstanceKey::Token(token) => cloud.find_by_client_token(token).await,
    }
}

/// Asks EC2 to end the instance. Returns whether that says that it is there.
async fn terminate(cloud: &dyn Cloud, id: &str, watch: &mut RemovalWatch) -> Result<bool, String> {
    match cloud.terminate_instance(id).await {
        Err(error) if error.kind != CloudErrorKind::NotFound => watch.failed(&error).map(|()| false),
        answer => {
            watch.answered();
            Ok(answer.is_ok())
        }
    }
}

/// Deletes the key pair `name`; `tags` find it in the list afterwards.
pub async fn delete_key_pair(
    cloud: &dyn Cloud,
    name: &str,
    tags: &[(String, String)],
    origin: &RemovalOrigin,
    policy: UndoPolicy,
) -> Result<(), String> {
    let mut watch = RemovalWatch::new(policy, origin);
    loop {
        // An unknown name succeeds as well, so only the list says whether it is gone.
        match cloud.delete_key_pair(name).await {
            Ok(()) => match cloud.find_key_pairs(tags).await {
                Ok(listed) if listed.iter().any(|pair| pair.name == name) => {
                    watch.answered();
                    (watch.empty, watch.reason) = (0, "it is still listed".to_owned());
                }
                Ok(_) => {
                    if watch.nothing_there() || (origin.confirmed && policy.believe_absence) {
                        return Ok(());
                    }
                }
                Err(error) => watch.failed(&error)?,
            },
            Err(error) => watch.failed(&error)?,
        }
        watch.rest().await?;
    }
}

/// Deletes the security group `name`, of id `id` where that is known; `tags` find it in the list. A group that is still in use is tried
/// again until the deadline: a network interface outlives its instance by a while.
pub async fn delete_security_group(
    cloud: &dyn Cloud,
    name: &str,
    id: Option<&str>,
    tags: &[(String, String)],
    origin: &RemovalOrigin,
    policy: UndoPolicy,
) -> Result<(), String> {
    let mut watch = RemovalWatch::new(policy, origin);
    let mut deleted = false;
    loop {
        match cloud.find_security_groups(tags).await {
            Ok(listed) => {
                let ids = group_ids(&listed, name, id, deleted);
                if listed.iter().all(|group| group.name != name) && (watch.nothing_there() || deleted) {
                    return Ok(());
                }
                for id in ids {
                    match cloud.delete_security_group(&id).await {
                        Ok(()) => deleted = true,
                        Err(error) if error.kind == CloudErrorKind::NotFound => {}
                        Err(error) => watch.failed(&error)?,
                    }
                }
            }
            Err(error) => watch.failed(&error)?,
        }
        if !deleted {
            watch.rest().await?;
        } else if watch.rest().await.is_err() {
            // EC2 said that it deleted it; only the list lags behind.
            return Ok(());
        }
    }
}

/// The ids to delete: those listed under the name, and the known one even while the list does not show it.
fn group_ids(listed: &[NamedResource], name: &str, id: Option<&str>, deleted: bool) -> Vec<String> {
    let mut ids: Vec<String> = listed.iter().filter(|g| g.name == name).map(|g| g.id.clone()).collect();
    if let Some(id) = id.filter(|id| !deleted && !ids.iter().any(|known| known == id)) {
        ids.push(id.to_owned());
    }
    ids
}

/// Deletes a volume that an ended instance may have left; `tags` find it in the list. EC2 deletes those with delete-on-termination itself.
pub async fn delete_volume(
    cloud: &dyn Cloud,
    id: &str,
    tags: &[(String, String)],
    policy: UndoPolicy,
) -> Result<(), String> {
    let mut watch = RemovalWatch::new(policy, &RemovalOrigin { age: policy.settle, confirmed: true });
    loop {
        match cloud.find_volumes(tags).await {
            Ok(listed) if !listed.contains_key(id) => {
                if policy.believe_absence {
                    return Ok(());
                }
                let _not_believed = watch.nothing_there();
            }
            Ok(_) => match cloud.delete_volume(id).await {
                Ok(()) => "it is still listed".clone_into(&mut watch.reason),
                Err(error) => watch.failed(&error)?,
            },
            Err(error) => watch.failed(&error)?,
        }
        watch.rest().await?;
    }
}
