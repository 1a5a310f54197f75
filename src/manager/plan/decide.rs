//! The decision: from the facts of one image to due or not, with reasons. A pure function. Two things it is built to prevent: a build that leads to
//! the same build again (each push of a candidate starts a pipeline), and a build that undoes what a person decided (a rollback).

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;

use super::{BuildDecision, BuildReason, ImageFacts, MadeBuild};
use assay_model::{Architecture, ImageState, Region};

/// After so many builds that do not stand on the parent's gold, though they were made since it is gold, the template is to blame.
const ENOUGH_STRAYS: usize = 2;
/// After so many builds in a row without a verdict a further one is not made by itself: a network that is down would be asked for ever.
const ENOUGH_SILENCES: usize = 2;

/// Decides one image.
pub(crate) fn decide(facts: &ImageFacts, now: Timestamp) -> BuildDecision {
    let case = ImageCase::new(facts, now);
    let mut reasons = case.reasons();
    let wanted = reasons.iter().any(|reason| reason.kind() == super::ReasonKind::Due);
    let mut waits_for = None;
    if let Some(parent) = facts.parent.as_ref().filter(|_| wanted) {
        // Who forces a build knows what it stands on; without a gold there is nothing to stand on.
        if parent.gold.is_none() || (parent.pending && !facts.forced) {
            waits_for = Some(parent.image.clone());
            let has_gold = parent.gold.is_some();
            reasons.push(BuildReason::WaitsForParent { parent: parent.image.clone(), has_gold });
        }
    }
    if facts.digest.is_none() {
        reasons.push(BuildReason::InputsUnseen);
    }
    BuildDecision {
        image: facts.image.clone(),
        due: wanted && waits_for.is_none(),
        reasons,
        waits_for,
        source_digest: facts.digest.clone(),
        newest: case.mine.first().map(|made| (made.run, made.state)),
    }
}

/// One image's facts, sorted for the questions.
struct ImageCase<'a> {
    facts: &'a ImageFacts,
    now: Timestamp,
    /// Builds of exactly these inputs, newest first.
    mine: Vec<&'a MadeBuild>,
}

impl<'a> ImageCase<'a> {
    fn new(facts: &'a ImageFacts, now: Timestamp) -> Self {
        let same = |made: &&MadeBuild| facts.digest.is_none() || made.digest == facts.digest;
        Self { facts, now, mine: facts.made.iter().filter(same).collect() }
    }

    fn reasons(&self) -> Vec<BuildReason> {
        if self.facts.forced {
            return vec![BuildReason::Forced];
        }
        if self.facts.made.is_empty() {
            return vec![BuildReason::NeverBuilt];
        }
        let fitting: Vec<&MadeBuild> = self.mine.iter().copied().filter(|made| self.stands_right(made)).collect();
        let usable: Vec<&MadeBuild> = fitting.iter().copied().filter(|made| self.is_usable(made)).collect();
        if let Some(current) = usable.iter().find(|made| self.too_old(made).is_none()) {
            return vec![match self.lacks(current) {
                lacks if lacks.is_empty() || current.state != ImageState::Gold => self.current(current),
                lacks => self.incomplete(current, lacks, &usable, &fitting),
            }];
        }
        if let Some(answer) = self.barred(&usable) {
            return vec![answer];
        }
        let answer = self.silence(&fitting).or_else(|| usable.first().and_then(|made| self.too_old(made)));
        answer.map_or_else(|| self.nothing_fits(), |answer| vec![answer])
    }

    /// What is said where the newest build has no verdict.
    fn silence(&self, fitting: &[&MadeBuild]) -> Option<BuildReason> {
        let run = fitting.first().filter(|made| is_silent(made))?.run;
        match fitting.iter().take_while(|made| is_silent(made) && self.too_old(made).is_none()).count() {
            count @ ENOUGH_SILENCES.. => Some(BuildReason::NoVerdict { run, count }),
            _ => Some(BuildReason::Untested { run }),
        }
    }

    /// What is said of a gold that lacks what assay.hcl declares. A newer build that waits is asked for before this; where one was rejected, taken out of use
    /// or got no verdict, that is the answer, or the same would be built again and again.
    fn incomplete(
        &self,
        gold: &MadeBuild,
        lacks: Vec<String>,
        usable: &[&MadeBuild],
        fitting: &[&MadeBuild],
    ) -> BuildReason {
        let answer = self.barred(usable).or_else(|| self.silence(fitting));
        answer.unwrap_or(BuildReason::GoldIncomplete { run: gold.run, lacks })
    }

    /// What assay.hcl declares and a build has no AMI for: an architecture, or one in a region that promotion does not copy to.
    fn lacks(&self, made: &MadeBuild) -> Vec<String> {
        let has: BTreeSet<Architecture> = made.places.iter().map(|(architecture, _)| *architecture).collect();
        let declared: BTreeSet<Architecture> = self.facts.architectures.iter().copied().collect();
        let mut lacks = Vec::new();
        for architecture in if declared.is_empty() { &has } else { &declared } {
            if !has.contains(architecture) {
                lacks.push(architecture.to_string());
                continue;
            }
            let there = |region: &&Region| made.places.contains(&(*architecture, (*region).clone()));
            let missing = self.facts.regions.iter().filter(|region| !there(region));
            lacks.extend(missing.map(|region| format!("{architecture} in {region}")));
        }
        lacks
    }

    /// Why the usable build that is young enough makes a build needless.
    fn current(&self, made: &MadeBuild) -> BuildReason {
        if made.state == ImageState::Gold {
            return BuildReason::GoldIsCurrent { run: made.run };
        }
        BuildReason::CandidateExists { run: made.run, state: made.state, lacks: self.lacks(made) }
    }

    /// Where the newest word on these inputs is that they are no good: not due, unless that word is older than `max_age` and a new build may come out
    /// otherwise (newer packages).
    fn barred(&self, usable: &[&MadeBuild]) -> Option<BuildReason> {
        let bad =
            |made: &&&MadeBuild| is_set_aside(made) || made.state == ImageState::Rejected && self.stands_right(made);
        let bad = *self.mine.iter().find(bad)?;
        let newest = self.mine.iter().find(|made| self.stands_right(made));
        let retried = newest.is_some_and(|made| made.tested_at > bad.tested_at && made.state == ImageState::Untested);
        if retried || usable.first().is_some_and(|made| made.tested_at > bad.tested_at) {
            return None;
        }
        // What a person took out of use comes back only where gold itself has these inputs.
        let may_retry = bad.state == ImageState::Rejected || usable.iter().any(|made| made.state == ImageState::Gold);
        match self.too_old(bad).filter(|_| may_retry) {
            Some(too_old) => Some(too_old),
            None if bad.state == ImageState::Rejected => Some(BuildReason::Rejected { run: bad.run }),
            None => Some(BuildReason::SetAside { run: bad.run, state: bad.state }),
        }
    }

    /// Why no build of these inputs on this parent counts.
    fn nothing_fits(&self) -> Vec<BuildReason> {
        let gold = self.gold();
        let behind = self.facts.digest.is_some() && self.facts.gold_here == self.facts.digest;
        if let Some(gold) = gold.filter(|gold| behind && gold.digest != self.facts.digest) {
            return vec![BuildReason::BranchIsBehind { gold: gold.run }];
        }
        let mut reasons = Vec::new();
        if self.mine.iter().all(|made| made.superseded) {
            reasons.push(BuildReason::InputsChanged { gold: gold.map(|made| made.run) });
        }
        let newest = self.mine.iter().copied().next().or(self.facts.made.first());
        if let Some(parent) = self.facts.parent.as_ref().filter(|_| newest.is_some_and(|m| !self.stands_right(m))) {
            if reasons.is_empty()
                && let Some(stray) = self.strays()
            {
                return vec![BuildReason::ParentNotFollowed { parent: parent.image.clone(), run: stray.run }];
            }
            let gold = parent.gold.as_ref().map(|gold| gold.run);
            reasons.push(BuildReason::ParentMoved { parent: parent.image.clone(), gold });
        }
        if reasons.is_empty() {
            // A usable build of these inputs that nothing speaks against would have been found before.
            reasons.push(BuildReason::InputsChanged { gold: gold.map(|made| made.run) });
        }
        reasons
    }

    /// The newest of enough builds that were made since the parent's gold is gold, and do not stand on it.
    fn strays(&self) -> Option<&'a MadeBuild> {
        let since = self.facts.parent.as_ref()?.gold.as_ref()?.since;
        let strays = || self.mine.iter().copied().filter(|made| !self.stands_right(made) && made.made_at > since);
        strays().next().filter(|_| strays().count() >= ENOUGH_STRAYS)
    }

    fn gold(&self) -> Option<&'a MadeBuild> {
        self.facts.made.iter().find(|made| made.state == ImageState::Gold)
    }

    /// Whether a build stands on the parent's gold, if it has to. One that does not say what it stands on counts where it was made after the
    /// parent became gold: promotion will ask again.
    fn stands_right(&self, made: &MadeBuild) -> bool {
        let Some(parent) = &self.facts.parent else { return true };
        let Some(gold) = &parent.gold else { return false };
        match &made.parent {
            Some(ami) => gold.amis.contains(ami),
            None => made.made_at > gold.since,
        }
    }

    /// Whether a build is the one to use, or can become it by itself: what promotion would refuse is of no use.
    fn is_usable(&self, made: &MadeBuild) -> bool {
        made.state == ImageState::Gold || is_good(made.state) && made.objection.is_none()
    }

    fn too_old(&self, made: &MadeBuild) -> Option<BuildReason> {
        let max_age = self.facts.max_age?;
        let age = Duration::try_from(self.now.duration_since(made.tested_at)).unwrap_or_default();
        (age > max_age).then_some(BuildReason::TooOld { run: made.run, age, max_age })
    }
}

/// Whether it has no verdict.
fn is_silent(made: &MadeBuild) -> bool {
    matches!(made.state, ImageState::Untested | ImageState::Building)
}

fn is_good(state: ImageState) -> bool {
    matches!(state, ImageState::Candidate | ImageState::Vetted | ImageState::Gold)
}

/// Whether a person took it out of use.
fn is_set_aside(made: &MadeBuild) -> bool {
    made.state == ImageState::Revoked || made.state == ImageState::Retired && !made.superseded
}
