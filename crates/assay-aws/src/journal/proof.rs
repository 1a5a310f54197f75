//! Whether a thing may be swept: pure reasoning over what the cloud says of it. It owns the proof; it makes no call and has no clock.
//!
//! A thing is provably of a run of assay's when all of these hold:
//! 1. Its tags say so: `assay:managed=true`, `assay:run`.
//! 2. A witness that nobody can change afterwards agrees: an instance's ClientToken or KeyName, a key pair's or group's name begins
//!    `assay-<run>-`. Tags alone can be put on anything by anyone with CreateTags.
//! 3. It was not made before the run, where both times are known. EC2 tells none for groups; a run id that Packer's random
//!    UUID became has none.
//!
//! What a killed Packer left of a build (packer-plugin-amazon: `step_key_pair.go`, `step_security_group.go`, `step_run_source_instance.go`
//! put `run_tags` on key pair, group, instance and interface in the creating call) is provable when its tags carry
//! `assay:managed=true`, `assay:state=building` and `assay:expires-at`, and the witness is Packer's own name `packer_<uuid>`. The first 32
//! bits of that UUID are the build's time in seconds (packer-plugin-sdk: `uuid.TimeOrderedUUID`). Only an expired one is swept: a build
//! that still runs looks the same.
//!
//! A volume bears no name and no token. It is only ever swept together with the instance that it was attached to.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::JournaledKind;
use crate::cloud::{CloudInstance, NamedResource};
use assay_model::{ImageState, RunId, tags};

/// Clocks may differ by this much before one is believed over the other, in seconds.
const SKEW: i64 = 600;

/// What a sweep is asked for.
#[derive(Debug, Clone)]
pub struct SweepScope {
    /// Only this run's.
    pub run: Option<RunId>,
    /// Only this owner's (`assay:owner`).
    pub owner: Option<String>,
    /// Whether the user named the run or the owner, which overrules expiry. False for the owner that was only looked up.
    pub named: bool,
    /// Only what is at least so old. Never widens.
    pub older_than: Option<Duration>,
}

/// Who made a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceMaker {
    /// assay, for a test.
    Assay,
    /// Packer, for a build of an image that assay looks after.
    Packer,
}

/// What the cloud says of a thing.
#[derive(Debug, Clone)]
pub struct ResourceFacts {
    /// What it is.
    pub kind: JournaledKind,
    /// Names and tokens that cannot be changed after creation.
    pub witnesses: Vec<String>,
    /// When it was made, seconds since the epoch, where EC2 tells.
    pub created_at: Option<i64>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl ResourceFacts {
    /// The facts of an instance.
    pub fn of_instance(instance: &CloudInstance) -> Self {
        Self {
            kind: JournaledKind::Instance,
            witnesses: instance.client_token.iter().chain(&instance.key_name).cloned().collect(),
            created_at: instance.launch_time,
            tags: instance.tags.clone(),
        }
    }

    /// The facts of a key pair or group.
    pub fn of_named(kind: JournaledKind, named: &NamedResource) -> Self {
        Self { kind, witnesses: vec![named.name.clone()], created_at: named.created_at, tags: named.tags.clone() }
    }

    fn tag(&self, key: &str) -> Option<&str> {
        self.tags.get(key).map(String::as_str)
    }
}

/// Whether the thing may be removed now: why it is provably ours and due, or why it is left alone.
pub fn judge(facts: &ResourceFacts, scope: &SweepScope, now: Timestamp) -> Result<(ResourceMaker, String), String> {
    if facts.tag(tags::MANAGED) != Some("true") {
        return Err(format!("it has no tag {}=true", tags::MANAGED));
    }
    in_scope(facts, scope)?;
    let (maker, made_at, witness) = maker(facts, now)?;
    not_before(facts, made_at)?;
    let due = due(facts, scope, maker, now)?;
    old_enough(facts, scope, made_at, now)?;
    Ok((maker, format!("its tags and {witness} prove it; {due}")))
}

fn in_scope(facts: &ResourceFacts, scope: &SweepScope) -> Result<(), String> {
    if scope.run.is_none() && scope.owner.is_none() {
        return Err("neither a run nor an owner was given".to_owned());
    }
    let demands = [(tags::RUN, scope.run.map(|run| run.to_string())), (tags::OWNER, scope.owner.clone())];
    for (key, wanted) in demands {
        if let Some(wanted) = wanted.filter(|wanted| facts.tag(key) != Some(wanted)) {
            return Err(format!("its {key} is {:?}, not {wanted:?}", facts.tag(key).unwrap_or("absent")));
        }
    }
    Ok(())
}

/// Who made it, when the work it was made for began, and the witness in words.
fn maker(facts: &ResourceFacts, now: Timestamp) -> Result<(ResourceMaker, Option<i64>, String), String> {
    if let Some(run) = facts.tag(tags::RUN).and_then(|run| run.parse::<RunId>().ok()) {
        let prefix = format!("{}-", run.resource_prefix());
        if let Some(witness) = facts.witnesses.iter().find(|witness| witness.starts_with(&prefix)) {
            let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
            let began = run.time_ms(now_ms).and_then(|ms| i64::try_from(ms / 1000).ok());
            return Ok((ResourceMaker::Assay, began, format!("the name {witness}")));
        }
    }
    if facts.tag(tags::STATE) == Some(ImageState::Building.as_str()) {
        let packers = facts.witnesses.iter().find_map(|name| Some((name, packer_time(name, now)?)));
        if let Some((name, began)) = packers {
            return Ok((ResourceMaker::Packer, Some(began), format!("Packer's name {name}")));
        }
    }
    Err("no name or token of it, which nobody could have changed, is assay's or Packer's".to_owned())
}

/// The time in `packer_<uuid>`; `None` for any other name, and for a time that cannot be.
fn packer_time(name: &str, now: Timestamp) -> Option<i64> {
    const YEAR_2013: i64 = 1_356_998_400;
    let uuid = name.strip_prefix("packer_")?;
    let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
    if lengths != [8, 4, 4, 4, 12] || !uuid.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit()) {
        return None;
    }
    let seconds = i64::from(u32::from_str_radix(&uuid[..8], 16).ok()?);
    (YEAR_2013..=now.as_second() + SKEW).contains(&seconds).then_some(seconds)
}

fn not_before(facts: &ResourceFacts, made_at: Option<i64>) -> Result<(), String> {
    match (facts.created_at, made_at) {
        (Some(created), Some(began)) if created + SKEW < began => {
            Err("it is older than the run that its tags and names claim".to_owned())
        }
        _ => Ok(()),
    }
}

/// Why it is due.
fn due(facts: &ResourceFacts, scope: &SweepScope, maker: ResourceMaker, now: Timestamp) -> Result<String, String> {
    let expires: Option<Timestamp> = facts.tag(tags::EXPIRES_AT).and_then(|text| text.parse().ok());
    if let Some(at) = expires.filter(|at| now.as_second() >= at.as_second() + SKEW) {
        return Ok(format!("it expired at {at}"));
    }
    match maker {
        ResourceMaker::Assay if scope.named && scope.run.is_some() => Ok("its run was named".to_owned()),
        ResourceMaker::Assay if scope.named => Ok("its owner was named".to_owned()),
        ResourceMaker::Packer if scope.named && scope.run.is_some() => Ok("its run was named".to_owned()),
        // A build of this owner may be using it right now: the age that the user gave must say that none is.
        ResourceMaker::Packer if scope.named && scope.older_than.is_some() => {
            Ok("its owner and an age were named".to_owned())
        }
        _ => match expires {
            Some(at) if maker == ResourceMaker::Packer && scope.named => Err(format!(
                "it expires at {at}, and a build may still be using it; --older-than together with --owner overrules that"
            )),
            Some(at) => Err(format!("it expires at {at}")),
            None => Err(format!("it has no readable {}", tags::EXPIRES_AT)),
        },
    }
}

fn old_enough(facts: &ResourceFacts, scope: &SweepScope, made_at: Option<i64>, now: Timestamp) -> Result<(), String> {
    let Some(least) = scope.older_than else { return Ok(()) };
    // A group's own time is unknown; it is no older than its run.
    let Some(born) = facts.created_at.or(made_at) else { return Err("its age is unknown".to_owned()) };
    let age = u64::try_from(now.as_second() - born).unwrap_or(0);
    if age >= least.as_secs() { Ok(()) } else { Err(format!("it is {age} s old")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_000_000;

    fn now() -> Timestamp {
        Timestamp::from_second(NOW).expect("a time")
    }

    /// A run that began ten minutes ago.
    fn run() -> RunId {
        let bits = u128::from(u64::try_from((NOW - 600) * 1000).expect("positive")) << 80;
        ulid::Ulid(bits + 7).to_string().parse().expect("a run")
    }

    fn scope() -> SweepScope {
        SweepScope { run: None, owner: Some("o".to_owned()), named: false, older_than: None }
    }

    fn by_run() -> SweepScope {
        SweepScope { run: Some(run()), owner: None, named: true, older_than: None }
    }

    fn facts(expires_in: i64) -> ResourceFacts {
        let expires = Timestamp::from_second(NOW + expires_in).expect("a time").to_string();
        let own = [
            (tags::MANAGED, "true".to_owned()),
            (tags::RUN, run().to_string()),
            (tags::OWNER, "o".to_owned()),
            (tags::EXPIRES_AT, expires),
        ];
        ResourceFacts {
            kind: JournaledKind::Instance,
            witnesses: vec![format!("{}-abc123-us-east-1-3", run().resource_prefix()), "key".to_owned()],
            created_at: Some(NOW - 500),
            tags: own.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
        }
    }

    fn packers(expires_in: i64) -> ResourceFacts {
        let mut facts = facts(expires_in);
        facts.tags.remove(tags::RUN);
        facts.tags.insert(tags::STATE.to_owned(), "building".to_owned());
        facts.witnesses = vec![format!("packer_{:08x}-1a2b-3c4d-5e6f-0123456789ab", NOW - 600)];
        facts
    }

    fn verdict(facts: &ResourceFacts, scope: &SweepScope) -> Result<ResourceMaker, String> {
        judge(facts, scope, now()).map(|(maker, _)| maker)
    }

    #[test]
    fn expired_or_named_and_proven_is_swept() {
        assert_eq!(verdict(&facts(-700), &scope()), Ok(ResourceMaker::Assay));
        assert_eq!(verdict(&facts(3600), &by_run()), Ok(ResourceMaker::Assay));
        assert_eq!(verdict(&facts(3600), &SweepScope { named: true, ..scope() }), Ok(ResourceMaker::Assay));
        assert!(verdict(&facts(3600), &scope()).expect_err("lives").contains("expires at"));
        assert!(verdict(&facts(-60), &scope()).is_err(), "clocks may differ");
    }

    #[test]
    fn tags_without_a_witness_prove_nothing() {
        let mut foreign = facts(-7000);
        foreign.witnesses = vec!["web".to_owned(), "assay-".to_owned(), run().resource_prefix()];
        assert!(verdict(&foreign, &by_run()).is_err());
        foreign.witnesses = vec![format!("{}x-1", run().resource_prefix())];
        assert!(verdict(&foreign, &by_run()).is_err(), "the run's name must end there");
    }

    #[test]
    fn each_demand_is_needed() {
        type Change = fn(&mut ResourceFacts);
        let changes: [(&str, Change); 5] = [
            ("managed", |f| drop(f.tags.remove(tags::MANAGED))),
            ("run", |f| drop(f.tags.insert(tags::RUN.into(), "01JD0000000000000000000000".into()))),
            ("owner", |f| drop(f.tags.insert(tags::OWNER.into(), "other".into()))),
            ("expiry", |f| drop(f.tags.insert(tags::EXPIRES_AT.into(), "soon".into()))),
            ("older than its run", |f| f.created_at = Some(NOW - 5000)),
        ];
        for (what, change) in changes {
            let mut changed = facts(-7000);
            change(&mut changed);
            assert!(verdict(&changed, &scope()).is_err(), "{what}");
        }
        assert!(verdict(&facts(-7000), &SweepScope { owner: None, ..scope() }).is_err(), "no scope at all");
    }

    #[test]
    fn what_a_killed_packer_left_is_swept_once_expired() {
        assert_eq!(verdict(&packers(-700), &scope()), Ok(ResourceMaker::Packer));
        // A running build looks the same: the owner's name does not overrule its expiry.
        assert!(verdict(&packers(3600), &SweepScope { named: true, ..scope() }).is_err());
        let mut unmarked = packers(-700);
        unmarked.tags.remove(tags::STATE);
        assert!(verdict(&unmarked, &scope()).is_err());
        let mut other = packers(-700);
        other.witnesses = vec!["packer_key".to_owned(), "packer_00000000-1a2b-3c4d-5e6f-0123456789ab".to_owned()];
        assert!(verdict(&other, &scope()).is_err());
        let mut older = packers(-700);
        older.created_at = Some(NOW - 9000);
        assert!(verdict(&older, &scope()).is_err());
    }

    #[test]
    fn older_than_only_narrows() {
        let narrow = |seconds| SweepScope { older_than: Some(Duration::from_secs(seconds)), ..by_run() };
        assert!(verdict(&facts(3600), &narrow(400)).is_ok());
        assert!(verdict(&facts(3600), &narrow(7200)).is_err());
        let mut group = facts(3600);
        group.created_at = None;
        assert!(verdict(&group, &narrow(400)).is_ok(), "the run's own time stands in");
    }
}
