//! The law itself: what speaks against a build, in which order builds are taken, what a move sets aside, and where a rollback goes.

use jiff::Timestamp;

use super::facts::{BuildFacts, ImageHistory, LockOrder, lock_order};
use crate::{ImageState, RunId};

/// How far the clock of a builder may be ahead of ours.
const CLOCK_SKEW: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

/// Why a build does not become gold by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoldObjection {
    /// Nobody knows the run.
    Unknown,
    /// Its state, by the lock or its own file, is none from which it could become gold.
    State(ImageState),
    /// It says that it was made or tested in the future.
    FromTheFuture {
        /// When, by its own word.
        at: Timestamp,
    },
    /// It is not newer than a run that is gold, or was, of the same inputs.
    NotNewer {
        /// That run.
        than: RunId,
    },
    /// Its inputs were gone back from after it had been begun.
    WentBack {
        /// The run that was gold.
        from: RunId,
        /// When.
        at: Timestamp,
    },
    /// A newer build of its inputs was retired or revoked.
    SetAside {
        /// That build.
        with: RunId,
        /// Its state.
        state: ImageState,
    },
}

/// What a rollback amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RollbackMove {
    /// Gold goes to this run.
    To(RunId),
    /// This run is gold, and a rollback made it so.
    Already {
        /// Gold.
        run: RunId,
        /// Where a further rollback could go.
        further: Option<RunId>,
    },
    /// The named run cannot come back; its state, where the lock knows it.
    Refused(RunId, Option<ImageState>),
    /// There is nothing to go back to.
    Nothing,
}

/// One time at which gold went from a run back to an older one, or to one that was gold before.
struct WayBack {
    from: RunId,
    at: Timestamp,
}

/// What the gold moves of a lock amount to.
#[derive(Default)]
struct GoldMoves {
    /// What was gold, each run below the one that followed it. What was gone back from is not in it.
    stack: Vec<RunId>,
    /// Whether the last move brought back a run that was gold before.
    returned: bool,
    back: Vec<WayBack>,
}

impl<'a> ImageHistory<'a> {
    /// What speaks against a run becoming gold by itself: as a candidate that waits or as a vetted one.
    pub fn objection(&self, run: RunId, now: Timestamp) -> Option<GoldObjection> {
        let Some(build) = self.build(run) else { return Some(GoldObjection::Unknown) };
        let state = self.state_of(run).unwrap_or(build.state);
        if !matches!(state, ImageState::Candidate | ImageState::Vetted) {
            return Some(GoldObjection::State(state));
        }
        let told = build.made_at.max(build.tested_at);
        if now.checked_add(CLOCK_SKEW).is_ok_and(|latest| told > latest) {
            return Some(GoldObjection::FromTheFuture { at: told });
        }
        self.set_aside(build).or_else(|| self.not_newer(build))
    }

    /// Whether a person took a build, or its inputs with it, out of use.
    fn set_aside(&self, build: &BuildFacts<'a>) -> Option<GoldObjection> {
        let same = |other: RunId| {
            let other = self.build(other)?;
            (other.inputs.is_some() && other.inputs == build.inputs).then_some(other)
        };
        let back = self.gold_moves().back;
        if let Some(way) = back.iter().rev().find(|way| build.began_at <= way.at && same(way.from).is_some()) {
            return Some(GoldObjection::WentBack { from: way.from, at: way.at });
        }
        let newer = self.builds.iter().filter(|other| other.order() > build.order() && same(other.run).is_some());
        newer
            .filter_map(|other| Some((other.run, self.taken_out_of_use(other.run)?)))
            .next()
            .map(|(with, state)| GoldObjection::SetAside { with, state })
    }

    fn not_newer(&self, build: &BuildFacts<'a>) -> Option<GoldObjection> {
        // Without gold, what a rollback would bring back is what there is to be newer than.
        let standing = self.gold.or_else(|| self.way_back());
        let was_gold = self.builds.iter().filter(|other| {
            let same = other.inputs.is_some() && other.inputs == build.inputs;
            other.run != build.run && (Some(other.run) == standing || same && self.was_gold(other.run))
        });
        let newest = was_gold.max_by_key(|other| other.order())?;
        (newest.order() >= build.order()).then_some(GoldObjection::NotNewer { than: newest.run })
    }

    /// The state of a run that a person took out of use: revoked, or retired and not merely superseded.
    pub fn taken_out_of_use(&self, run: RunId) -> Option<ImageState> {
        let state = self.state_of(run)?;
        match state {
            ImageState::Revoked => Some(state),
            ImageState::Retired if !self.is_superseded(run) => Some(state),
            _ => None,
        }
    }

    /// Whether a retired run was retired since a newer build became gold. Moves of one commit are of one time, and follow each other.
    pub fn is_superseded(&self, run: RunId) -> bool {
        let Some(last) = self.moves.iter().rposition(|entry| entry.run == run) else { return false };
        let at = self.moves[last].at;
        let first = self.moves[..last].iter().rposition(|entry| entry.at != at).map_or(0, |before| before + 1);
        let commit = self.moves.iter().enumerate().skip(first).take_while(|(_, entry)| entry.at == at);
        self.moves[last].state == ImageState::Retired
            && commit
                .filter(|(_, entry)| entry.state == ImageState::Gold && entry.run != run)
                .any(|(index, _)| !self.goes_back(index))
    }

    /// Whether a move to gold goes back: to a run that was gold before, or to an older one than the gold before it.
    fn goes_back(&self, index: usize) -> bool {
        let run = self.moves[index].run;
        let mut before = self.moves[..index].iter().filter(|entry| entry.state == ImageState::Gold);
        match before.clone().next_back() {
            Some(last) if last.run != run => before.any(|entry| entry.run == run) || self.is_older(run, last.run),
            _ => false,
        }
    }

    fn is_older(&self, run: RunId, than: RunId) -> bool {
        self.build(run).zip(self.build(than)).is_some_and(|(one, other)| one.order() < other.order())
    }

    fn gold_moves(&self) -> GoldMoves {
        let mut all = GoldMoves::default();
        let mut last: Option<RunId> = None;
        for (index, entry) in self.moves.iter().enumerate().filter(|(_, entry)| entry.state == ImageState::Gold) {
            let run = entry.run;
            let Some(from) = last.replace(run).filter(|from| *from != run) else {
                if all.stack.last() != Some(&run) {
                    all.stack.push(run);
                }
                continue;
            };
            all.returned =
                self.moves[..index].iter().any(|before| before.run == run && before.state == ImageState::Gold);
            if self.goes_back(index) {
                all.back.push(WayBack { from, at: entry.at });
            }
            match all.stack.iter().position(|known| *known == run) {
                Some(place) => all.stack.truncate(place + 1),
                None => all.stack.push(run),
            }
        }
        all
    }

    /// The run that a rollback would bring back: the one that was gold before gold first became gold, and was neither gone back from nor revoked since. Pruning
    /// keeps it and status misses it, so that there is always a way back.
    pub fn way_back(&self) -> Option<RunId> {
        let stack = self.gold_moves().stack;
        let below = stack.iter().rev().filter(|run| Some(**run) != self.gold);
        below.copied().find(|run| self.state_of(*run) == Some(ImageState::Retired))
    }

    /// What a rollback to `run`, or without one, amounts to.
    pub fn rollback(&self, run: Option<RunId>) -> RollbackMove {
        if let Some(run) = run {
            return match self.state_of(run) {
                Some(ImageState::Gold) if self.gold == Some(run) => RollbackMove::Already { run, further: None },
                Some(ImageState::Retired) if self.was_gold(run) => RollbackMove::To(run),
                state => RollbackMove::Refused(run, state),
            };
        }
        match (self.gold.filter(|_| self.gold_moves().returned), self.way_back()) {
            (Some(run), further) => RollbackMove::Already { run, further },
            (None, Some(run)) => RollbackMove::To(run),
            (None, None) => RollbackMove::Nothing,
        }
    }

    /// What waits and may be validated, of the inputs as they are: newest first.
    pub fn to_validate(&self, inputs: &str, now: Timestamp) -> Vec<RunId> {
        let fits = |build: &&BuildFacts<'a>| {
            build.inputs == Some(inputs)
                && build.state == ImageState::Candidate
                && self.state_of(build.run).is_none()
                && self.objection(build.run, now).is_none()
        };
        newest_first(self.builds.iter().filter(fits).collect())
    }

    /// What is vetted and may become gold by itself: newest first.
    pub fn to_promote(&self, now: Timestamp) -> Vec<RunId> {
        let fits = |build: &&BuildFacts<'a>| {
            self.state_of(build.run) == Some(ImageState::Vetted) && self.objection(build.run, now).is_none()
        };
        newest_first(self.builds.iter().filter(fits).collect())
    }

    /// Whether what waits or is vetted is open: neither gold nor given up.
    fn is_open(&self, build: &BuildFacts<'a>) -> bool {
        match self.state_of(build.run) {
            Some(state) => state == ImageState::Vetted,
            None => build.state == ImageState::Candidate,
        }
    }

    /// What a move of gold to `run` leaves behind, and retires in the same commit: going forward all that is older, going back all that waits of the inputs that it
    /// goes back from. Oldest first.
    pub fn left_behind(&self, run: RunId) -> Vec<RunId> {
        let Some(gold) = self.build(run) else { return Vec::new() };
        let last =
            self.moves.iter().rev().find(|entry| entry.state == ImageState::Gold).and_then(|last| self.build(last.run));
        let from = last.filter(|last| last.run != run && (self.was_gold(run) || gold.order() < last.order()));
        let leaves = |build: &&BuildFacts<'a>| {
            let behind = match from {
                Some(from) => from.inputs.is_some() && build.inputs == from.inputs,
                None => build.order() < gold.order(),
            };
            behind && build.run != run && self.is_open(build)
        };
        let mut left = newest_first(self.builds.iter().filter(leaves).collect());
        left.reverse();
        left
    }

    /// Whether a run must be there whatever retention says: gold, the way back, what may yet become gold.
    pub fn must_stay(&self, run: RunId, now: Timestamp) -> bool {
        self.gold == Some(run)
            || self.state_of(run) == Some(ImageState::Gold)
            || self.way_back() == Some(run)
            || self.state_of(run) == Some(ImageState::Vetted) && self.objection(run, now).is_none()
    }
}

fn newest_first(mut builds: Vec<&BuildFacts<'_>>) -> Vec<RunId> {
    builds.sort_by_key(|build| std::cmp::Reverse(build.order()));
    builds.into_iter().map(|build| build.run).collect()
}

/// What is to be done with a lock that was read after another one had been followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextLock {
    /// It is the one that was followed: done.
    Done,
    /// It goes on: follow it.
    Follow,
    /// The read is behind what was followed already: look again a little later, and never follow it.
    LookAgain,
    /// It does not go on from what was followed: nothing more is to be done.
    Refuse,
}

/// See [`NextLock`].
pub fn next_lock<T: PartialEq>(followed: &[T], now: &[T]) -> NextLock {
    match lock_order(followed, now) {
        LockOrder::Same => NextLock::Done,
        LockOrder::Later => NextLock::Follow,
        LockOrder::Earlier => NextLock::LookAgain,
        LockOrder::Diverged => NextLock::Refuse,
    }
}
