//! The state of the model: what is on main, what was built, what the cloud follows, which commands are under way, and what a person decided. It owns the translation into the
//! facts that the law is asked with.

use std::{cell::RefCell, sync::LazyLock};

use jiff::Timestamp;

use super::super::{BuildFacts, ImageHistory, MoveFacts};
use crate::{ImageState, RunId};

/// So many builds at most.
pub(super) const BUILDS: usize = 4;
/// So many moves of the lock at most; no command moves beyond.
pub(super) const MOVES: usize = 16;
/// So many commands at a time.
pub(super) const COMMANDS: usize = 2;

pub(super) static RUNS: LazyLock<Vec<RunId>> = LazyLock::new(|| {
    let run = |number: usize| format!("01KAQ3B6G0R8ZJ5Q2X7V9N4M{number:02}").parse().expect("a run");
    (0..BUILDS).map(run).collect()
});
static TIMES: LazyLock<Vec<Timestamp>> =
    LazyLock::new(|| (0..=255).map(|second| Timestamp::from_second(second).expect("a time")).collect());
static INPUTS: [&str; 3] = ["inputs-a", "inputs-b", "inputs-c"];

/// A time of the model.
pub(super) fn time(clock: u8) -> Timestamp {
    TIMES[usize::from(clock)]
}

/// The inputs' name for the law.
pub(super) fn inputs(number: u8) -> &'static str {
    INPUTS[usize::from(number)]
}

/// Which build a run is of.
pub(super) fn number(run: RunId) -> u8 {
    let at = RUNS.iter().position(|known| *known == run).expect("a run of the model");
    u8::try_from(at).expect("few builds")
}

/// Where a build is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// Packer is at work.
    Building,
    /// Its candidate file is on a branch.
    Branch,
    /// Its candidate file is on main.
    Waiting,
    /// The lock has it.
    Locked,
}

/// How far pruning has come with an AMI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Pruned {
    No,
    /// A prune decided that it goes, and has not done so yet.
    Decided,
    Disabled,
    /// The grace period is over: the next prune decided that it goes for good.
    Doomed,
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Build {
    pub inputs: u8,
    pub began: u8,
    pub made: u8,
    pub place: Place,
    /// A full validation passed, and its evidence is there.
    pub evidence: bool,
    /// A person took it, or its inputs, out of use: the model's own account of it, by which the law is judged.
    pub set_aside: bool,
    pub pruned: Pruned,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Move {
    pub build: u8,
    pub state: ImageState,
    pub at: u8,
}

/// A command that moves gold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Command {
    None,
    /// It has chosen, and looks at EC2 and copies. `length`: of the lock as it was.
    Chosen {
        build: u8,
        length: u8,
        back: bool,
    },
    /// Its push was taken, or found to be there already; the cloud follows the first `length` moves.
    Following {
        length: u8,
        looks: u8,
    },
}

/// What ended last, as far as running it again is to change nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Last {
    Nothing,
    Promotion,
    Rollback,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub clock: u8,
    pub inputs: u8,
    pub built: u8,
    pub builds: [Build; BUILDS],
    pub length: u8,
    pub moves: [Move; MOVES],
    /// How many moves a mirror shows that is behind.
    pub mirror: u8,
    pub commands: [Command; COMMANDS],
    /// The command that moved the lock last, as long as nothing else changed what it goes by.
    pub last: Last,
    pub rollbacks_left: u8,
    pub changes_left: u8,
    pub retreats_left: u8,
    pub prunes_left: u8,
}

impl World {
    pub(super) fn state_of(&self, build: u8) -> Option<ImageState> {
        self.moves[..usize::from(self.length)].iter().rev().find(|one| one.build == build).map(|one| one.state)
    }

    /// Gold, by the first `length` moves.
    pub(super) fn gold_at(&self, length: u8) -> Option<u8> {
        let moves = &self.moves[..usize::from(length)];
        let last = moves.iter().rev().find(|one| one.state == ImageState::Gold)?.build;
        let state = moves.iter().rev().find(|one| one.build == last)?.state;
        (state == ImageState::Gold).then_some(last)
    }

    pub(super) fn gold(&self) -> Option<u8> {
        self.gold_at(self.length)
    }

    /// Which of two builds is newer, as the model sees it.
    pub(super) fn made(&self, build: u8) -> u8 {
        self.builds[usize::from(build)].made
    }

    /// Adds a move, while there is room.
    pub(super) fn append(&mut self, build: u8, state: ImageState) {
        self.moves[usize::from(self.length)] = Move { build, state, at: self.clock };
        self.length += 1;
        self.builds[usize::from(build)].place = Place::Locked;
        self.last = Last::Nothing;
    }

    /// Asks the law about main as it is.
    pub(super) fn history<T>(&self, ask: impl FnOnce(&ImageHistory<'static>) -> T) -> T {
        thread_local! {
            // Millions are asked: the two lists are made once.
            static FACTS: RefCell<ImageHistory<'static>> = RefCell::default();
        }
        FACTS.with_borrow_mut(|facts| {
            facts.moves.clear();
            facts.builds.clear();
            for one in &self.moves[..usize::from(self.length)] {
                facts.moves.push(MoveFacts { run: RUNS[usize::from(one.build)], state: one.state, at: time(one.at) });
            }
            for (number, build) in self.builds[..usize::from(self.built)].iter().enumerate() {
                if matches!(build.place, Place::Waiting | Place::Locked) {
                    facts.builds.push(BuildFacts {
                        run: RUNS[number],
                        inputs: Some(inputs(build.inputs)),
                        began_at: time(build.began),
                        made_at: time(build.made),
                        tested_at: time(build.made),
                        state: ImageState::Candidate,
                    });
                }
            }
            facts.gold = self.gold().map(|gold| RUNS[usize::from(gold)]);
            ask(facts)
        })
    }
}
