//! What the law is asked about: builds and moves as plain facts, taken from a lock and the candidates that wait beside it. It owns that translation; it judges nothing.

use jiff::Timestamp;

use crate::{Candidate, Digest, ImageState, RunId, lock::Lock};

/// One build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildFacts<'a> {
    /// The run.
    pub run: RunId,
    /// Digest of what it was made from; none: not known.
    pub inputs: Option<&'a str>,
    /// When it was begun; where that is not recorded, when it was made.
    pub began_at: Timestamp,
    /// When EC2 made its first AMI; when it was tested, where no AMI says.
    pub made_at: Timestamp,
    /// When its smoke test ended.
    pub tested_at: Timestamp,
    /// The candidate file's word; the lock's counts where it has one.
    pub state: ImageState,
}

impl BuildFacts<'_> {
    /// What decides which of two builds is newer: EC2's clock, and only where it does not tell them apart what the builders said.
    pub fn order(&self) -> (Timestamp, Timestamp, RunId) {
        (self.made_at, self.tested_at, self.run)
    }
}

/// One entry of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MoveFacts {
    /// The run.
    pub run: RunId,
    /// The state that it was given.
    pub state: ImageState,
    /// When.
    pub at: Timestamp,
}

/// All that is known of an image line: every move of its lock, oldest first, and every build of the lock and of the candidates that wait.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageHistory<'a> {
    /// The lock's moves.
    pub moves: Vec<MoveFacts>,
    /// The builds, each run once.
    pub builds: Vec<BuildFacts<'a>>,
    /// The run that the lock names as gold.
    pub gold: Option<RunId>,
}

/// A time of a file that assay checked when it was read.
fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

impl<'a> BuildFacts<'a> {
    /// What a candidate says of its build.
    pub fn of(candidate: &'a Candidate) -> Self {
        let tested_at = time(&candidate.tested_at).unwrap_or(Timestamp::UNIX_EPOCH);
        let made_at = candidate.amis.iter().filter_map(|ami| time(&ami.record.created_at)).min().unwrap_or(tested_at);
        let provenance = &candidate.provenance;
        Self {
            run: candidate.run,
            inputs: provenance.source_digest.as_ref().map(Digest::as_str),
            began_at: provenance.began_at.as_deref().and_then(time).map_or(made_at, |began| began.min(made_at)),
            made_at,
            tested_at,
            state: candidate.state,
        }
    }
}

impl<'a> ImageHistory<'a> {
    /// The history that a lock and the candidates beside it tell. A candidate of a run that the lock knows is a file that a merge brought back: the lock's own counts.
    pub fn of(lock: &'a Lock, waiting: &'a [Candidate]) -> Self {
        let moves = lock.entries.iter().map(|entry| MoveFacts {
            run: entry.run,
            state: entry.state,
            at: time(&entry.at).unwrap_or(Timestamp::UNIX_EPOCH),
        });
        let locked = lock.entries.iter().filter_map(|entry| entry.candidate.as_ref());
        let mut builds: Vec<BuildFacts<'a>> = Vec::new();
        for candidate in locked.chain(waiting) {
            if !builds.iter().any(|known| known.run == candidate.run) {
                builds.push(BuildFacts::of(candidate));
            }
        }
        Self { moves: moves.collect(), builds, gold: lock.gold }
    }

    /// Takes builds that record `former` for builds of `current`: an earlier version wrote the digest of the same source in another form.
    #[must_use]
    pub fn with_former_inputs(mut self, former: &str, current: &'a str) -> Self {
        let former = self.builds.iter_mut().filter(|build| build.inputs == Some(former));
        former.for_each(|build| build.inputs = Some(current));
        self
    }

    /// A build by its run.
    pub fn build(&self, run: RunId) -> Option<&BuildFacts<'a>> {
        self.builds.iter().find(|build| build.run == run)
    }

    /// The lock's word on a run; none: it does not know it.
    pub fn state_of(&self, run: RunId) -> Option<ImageState> {
        self.moves.iter().rev().find(|entry| entry.run == run).map(|entry| entry.state)
    }

    /// Whether a run was gold at some time.
    pub fn was_gold(&self, run: RunId) -> bool {
        self.moves.iter().any(|entry| entry.run == run && entry.state == ImageState::Gold)
    }
}

/// How a lock that was read stands to one that was seen before. Locks only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockOrder {
    /// The same.
    Same,
    /// It goes on from the one before: it counts now.
    Later,
    /// It is what the one before began with: the read is behind (a mirror), and must not be followed.
    Earlier,
    /// It is neither: history was rewritten, and nobody can say which one holds.
    Diverged,
}

/// Compares the entries of two locks of one image.
pub fn lock_order<T: PartialEq>(seen: &[T], now: &[T]) -> LockOrder {
    let common = seen.len().min(now.len());
    if seen[..common] != now[..common] {
        return LockOrder::Diverged;
    }
    match now.len().cmp(&seen.len()) {
        std::cmp::Ordering::Equal => LockOrder::Same,
        std::cmp::Ordering::Greater => LockOrder::Later,
        std::cmp::Ordering::Less => LockOrder::Earlier,
    }
}
