//! The rules that the model asks, as a parameter: the law, and the rules that were there before it. That the model finds what was wrong with each of the latter is the proof that it
//! looks where it should.

use jiff::Timestamp;

use super::super::{
    ImageHistory, RollbackMove,
    gold::{NextLock, next_lock},
};
use crate::{ImageState, RunId};

/// Every question of the registry that the model asks.
pub(super) trait RegistryRules {
    /// The candidates that `validate --candidate` would take, best first.
    fn to_validate(&self, history: &ImageHistory<'_>, inputs: &str, now: Timestamp) -> Vec<RunId> {
        history.to_validate(inputs, now)
    }
    /// Whether `promote --to vetted` takes a candidate that has passed, and is of main's inputs.
    fn may_be_vetted(&self, history: &ImageHistory<'_>, run: RunId, now: Timestamp) -> bool {
        history.objection(run, now).is_none()
    }
    /// What `promote --to gold` would take, best first.
    fn to_promote(&self, history: &ImageHistory<'_>, now: Timestamp) -> Vec<RunId> {
        history.to_promote(now)
    }
    /// Where `rollback` goes; none: nowhere, or it is done already.
    fn rollback(&self, history: &ImageHistory<'_>) -> Option<RunId> {
        match history.rollback(None) {
            RollbackMove::To(run) => Some(run),
            RollbackMove::Already { .. } | RollbackMove::Refused(..) | RollbackMove::Nothing => None,
        }
    }
    /// What is retired in the commit that makes a run gold, beside the old gold.
    fn left_behind(&self, history: &ImageHistory<'_>, run: RunId) -> Vec<RunId> {
        history.left_behind(run)
    }
    /// What is done with a lock of `now` moves after one of `followed` was followed.
    fn next_lock(&self, followed: &[u8], now: &[u8]) -> NextLock {
        next_lock(followed, now)
    }
    /// Whether pruning spares a run whatever its age.
    fn must_stay(&self, history: &ImageHistory<'_>, run: RunId, now: Timestamp) -> bool {
        history.must_stay(run, now)
    }
    /// Whether pruning asks the lock again before each deed.
    fn prune_asks_again(&self) -> bool {
        true
    }
}

/// The law as it is.
pub(super) struct Law;

impl RegistryRules for Law {}

/// Candidates and vetted runs were taken in whatever order they came: the last one that was vetted is the newest.
pub(super) struct LastVettedIsNewest;

impl RegistryRules for LastVettedIsNewest {
    fn to_validate(&self, history: &ImageHistory<'_>, inputs: &str, _now: Timestamp) -> Vec<RunId> {
        let fits = history.builds.iter().filter(|b| b.inputs == Some(inputs) && history.state_of(b.run).is_none());
        let mut runs: Vec<_> = fits.map(|build| (build.tested_at, build.run)).collect();
        runs.sort();
        runs.into_iter().rev().map(|(_, run)| run).collect()
    }

    fn may_be_vetted(&self, _history: &ImageHistory<'_>, _run: RunId, _now: Timestamp) -> bool {
        true
    }

    fn to_promote(&self, history: &ImageHistory<'_>, _now: Timestamp) -> Vec<RunId> {
        let vetted_at =
            |run: RunId| history.moves.iter().rposition(|entry| entry.run == run && entry.state == ImageState::Vetted);
        let gold_at = history.gold.and_then(vetted_at);
        let vetted = history.builds.iter().map(|build| build.run);
        let vetted = vetted.filter(|run| history.state_of(*run) == Some(ImageState::Vetted));
        let mut open: Vec<RunId> = vetted.filter(|run| vetted_at(*run) > gold_at).collect();
        open.sort_by_key(|run| std::cmp::Reverse(vetted_at(*run)));
        open
    }

    fn left_behind(&self, history: &ImageHistory<'_>, run: RunId) -> Vec<RunId> {
        if history.was_gold(run) {
            return Vec::new();
        }
        let vetted_at =
            |run: RunId| history.moves.iter().rposition(|entry| entry.run == run && entry.state == ImageState::Vetted);
        let gold = history.build(run).expect("a build of the model");
        let left = history.builds.iter().filter(|other| match history.state_of(other.run) {
            Some(state) => state == ImageState::Vetted && other.run != run && vetted_at(other.run) < vetted_at(run),
            None => other.tested_at < gold.tested_at && other.inputs != gold.inputs,
        });
        left.map(|build| build.run).collect()
    }
}

/// Order by the time of the build, but nothing remembers what was gone back from: the law without its third sentence.
pub(super) struct ForgetsRollbacks;

impl RegistryRules for ForgetsRollbacks {
    fn may_be_vetted(&self, history: &ImageHistory<'_>, run: RunId, _now: Timestamp) -> bool {
        history.build(run).is_some_and(|build| is_newer_than_gold(history, build.order()))
    }

    fn to_validate(&self, history: &ImageHistory<'_>, inputs: &str, now: Timestamp) -> Vec<RunId> {
        let mut runs = LastVettedIsNewest.to_validate(history, inputs, now);
        runs.retain(|run| self.may_be_vetted(history, *run, now));
        runs
    }

    fn to_promote(&self, history: &ImageHistory<'_>, now: Timestamp) -> Vec<RunId> {
        let mut vetted: Vec<_> = history.builds.iter().collect();
        vetted.retain(|build| history.state_of(build.run) == Some(ImageState::Vetted));
        vetted.retain(|build| self.may_be_vetted(history, build.run, now));
        vetted.sort_by_key(|build| std::cmp::Reverse(build.order()));
        vetted.into_iter().map(|build| build.run).collect()
    }

    fn left_behind(&self, history: &ImageHistory<'_>, run: RunId) -> Vec<RunId> {
        if history.was_gold(run) { Vec::new() } else { history.left_behind(run) }
    }
}

fn is_newer_than_gold(history: &ImageHistory<'_>, order: (Timestamp, Timestamp, RunId)) -> bool {
    history.gold.and_then(|gold| history.build(gold)).is_none_or(|gold| order > gold.order())
}

/// A rollback went to the run that was gold last and is retired: also to the one that it had just left.
pub(super) struct RollbackToggles;

impl RegistryRules for RollbackToggles {
    fn rollback(&self, history: &ImageHistory<'_>) -> Option<RunId> {
        let mut gold =
            history.moves.iter().rev().filter(|entry| entry.state == ImageState::Gold).map(|entry| entry.run);
        gold.find(|run| history.state_of(*run) == Some(ImageState::Retired))
    }
}

/// Whatever lock was read last was followed.
pub(super) struct FollowsWhatItReads;

impl RegistryRules for FollowsWhatItReads {
    fn next_lock(&self, followed: &[u8], now: &[u8]) -> NextLock {
        if followed == now { NextLock::Done } else { NextLock::Follow }
    }
}

/// Pruning decided by the lock that it read at its beginning.
pub(super) struct PruneReadsOnce;

impl RegistryRules for PruneReadsOnce {
    fn prune_asks_again(&self) -> bool {
        false
    }
}
