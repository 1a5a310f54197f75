//! The model of the registry: builds, merges, validations, promotions, rollbacks, retreats (retire, revoke, revoke by force), prunes, reads that lag, commands that are killed
//! at any step and run again; in every order. It asks the very functions that the product asks, and judges what they answer by its own account of what a person decided.
//!
//! What is bounded: the numbers in `Bounds`. What is atomic: a push (git's compare-and-set), an edit of it (its reasons are asked in the same step), a deed of pruning. The grace period
//! of pruning is longer than a promotion takes.

use super::super::{ImageHistory, gold::NextLock};
use super::{
    explorer::{Explored, Found, explore},
    former_rules::{
        FollowsWhatItReads, ForgetsRollbacks, LastVettedIsNewest, Law, PruneReadsOnce, RegistryRules, RollbackToggles,
    },
    world::{BUILDS, Build, COMMANDS, Command, Last, MOVES, Move, Place, Pruned, RUNS, World, inputs, number, time},
};
use crate::{ImageState, RunId};

/// How much may happen.
#[derive(Clone, Copy)]
struct Bounds {
    builds: u8,
    commands: usize,
    rollbacks: u8,
    /// Merges that change the inputs on main.
    changes: u8,
    /// Runs that a person retires or revokes.
    retreats: u8,
    prunes: u8,
    /// So many builds were gold before it begins, one after the other.
    golds: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    BuildBegins,
    BuildEnds(u8),
    CandidateIsMerged(u8),
    InputsChange(u8),
    ValidationPasses(u8),
    Vetted(u8),
    PromotionChooses { command: usize, build: u8 },
    RollbackChooses { command: usize, build: u8 },
    Pushed(usize),
    IsKilled(usize),
    Follows { command: usize, reads: u8 },
    MirrorCatchesUp,
    Retired(u8),
    Revoked(u8),
    PruneDecides(u8),
    PruneDoes(u8),
}

struct RegistryModel<'a> {
    rules: &'a dyn RegistryRules,
    bounds: Bounds,
}

type Next<'a> = &'a mut dyn FnMut(Action, Result<World, String>);

impl Explored for RegistryModel<'_> {
    type State = World;
    type Action = Action;

    fn first(&self) -> World {
        let build = Build {
            inputs: 0,
            began: 0,
            made: 0,
            place: Place::Building,
            evidence: false,
            set_aside: false,
            pruned: Pruned::No,
        };
        let Bounds { rollbacks, changes, retreats, prunes, golds, .. } = self.bounds;
        let mut world = World {
            clock: 1,
            inputs: 0,
            built: 0,
            builds: [build; BUILDS],
            length: 0,
            moves: [Move { build: 0, state: ImageState::Building, at: 0 }; MOVES],
            mirror: 0,
            commands: [Command::None; COMMANDS],
            last: Last::Nothing,
            rollbacks_left: rollbacks,
            changes_left: changes,
            retreats_left: retreats,
            prunes_left: prunes,
        };
        for number in 0..golds {
            world.builds[usize::from(number)] = Build { made: world.clock, evidence: true, ..build };
            world.built += 1;
            world.clock += 1;
            world.append(number, ImageState::Vetted);
            world.clock += 1;
            if let Some(old) = world.gold() {
                world.append(old, ImageState::Retired);
            }
            world.append(number, ImageState::Gold);
            world.clock += 1;
        }
        world
    }

    fn next(&self, world: &World, take: Next<'_>) {
        self.builds(world, take);
        self.candidates(world, take);
        for command in 0..self.bounds.commands {
            self.command(world, command, take);
        }
        self.retreats(world, take);
        if self.bounds.prunes > 0 {
            self.prunes(world, take);
        }
        if world.mirror < world.length {
            take(Action::MirrorCatchesUp, Ok(World { mirror: world.length, ..*world }));
        }
    }
}

impl RegistryModel<'_> {
    /// The next timed event.
    fn later(world: &World) -> World {
        World { clock: world.clock + 1, ..*world }
    }

    fn builds(&self, world: &World, take: Next<'_>) {
        if world.built < self.bounds.builds {
            let mut after = Self::later(world);
            let build = &mut after.builds[usize::from(after.built)];
            (build.inputs, build.began) = (world.inputs, world.clock);
            after.built += 1;
            take(Action::BuildBegins, Ok(after));
        }
        for number in 0..world.built {
            let place = world.builds[usize::from(number)].place;
            let mut after = Self::later(world);
            let build = &mut after.builds[usize::from(number)];
            match place {
                Place::Building => {
                    (build.made, build.place) = (world.clock, Place::Branch);
                    take(Action::BuildEnds(number), Ok(after));
                }
                Place::Branch => {
                    build.place = Place::Waiting;
                    // What waits on main is new to a promotion that is run again.
                    take(Action::CandidateIsMerged(number), Ok(World { clock: world.clock, ..after }));
                }
                Place::Waiting | Place::Locked => {}
            }
        }
        if world.changes_left > 0 {
            let changes_left = world.changes_left - 1;
            for inputs in (0..3).filter(|inputs| *inputs != world.inputs) {
                // Other inputs are other work for a promotion, which is then no rerun.
                let last = if world.last == Last::Promotion { Last::Nothing } else { world.last };
                take(Action::InputsChange(inputs), Ok(World { inputs, changes_left, last, ..*world }));
            }
        }
    }

    fn candidates(&self, world: &World, take: Next<'_>) {
        let chosen = world.history(|known| self.rules.to_validate(known, inputs(world.inputs), time(world.clock)));
        // The newest one is taken each time; what is chosen may end late, after whatever else happens.
        if let Some(build) = chosen.first().map(|run| number(*run)) {
            let mut after = *world;
            if !std::mem::replace(&mut after.builds[usize::from(build)].evidence, true) {
                take(Action::ValidationPasses(build), Ok(after));
            }
        }
        for number in 0..world.built {
            let build = &world.builds[usize::from(number)];
            let is_open = build.place == Place::Waiting && build.evidence && build.inputs == world.inputs;
            if !is_open || !is_there(build) || usize::from(world.length) + 1 > MOVES {
                continue;
            }
            let run = RUNS[usize::from(number)];
            if world.history(|known| self.rules.may_be_vetted(known, run, time(world.clock))) {
                let mut after = Self::later(world);
                after.append(number, ImageState::Vetted);
                take(Action::Vetted(number), Ok(after));
            }
        }
    }

    fn command(&self, world: &World, command: usize, take: Next<'_>) {
        let with = |state: Command| {
            let mut after = *world;
            after.commands[command] = state;
            after
        };
        match world.commands[command] {
            Command::None => self.begins(world, command, take),
            Command::Chosen { build, length, back } => {
                take(Action::Pushed(command), self.pushed(world, command, build, length, back));
                take(Action::IsKilled(command), Ok(with(Command::None)));
            }
            Command::Following { length, looks } => {
                take(Action::IsKilled(command), Ok(with(Command::None)));
                // A read may be as far behind as the mirror is.
                for reads in [world.mirror, world.length] {
                    let after = self.follows(world, length, looks, reads).map(with);
                    take(Action::Follows { command, reads }, after);
                }
            }
        }
    }

    fn begins(&self, world: &World, command: usize, take: Next<'_>) {
        let chosen = world.history(|known| self.rules.to_promote(known, time(world.clock)));
        let chosen = chosen.into_iter().map(number);
        // Those that are not of main's inputs, or not there, are passed over.
        let sane = |build: &u8| {
            let build = &world.builds[usize::from(*build)];
            build.inputs == world.inputs && is_there(build)
        };
        if let Some(build) = chosen.clone().find(sane) {
            if world.last == Last::Promotion {
                return take(
                    Action::PromotionChooses { command, build },
                    Err("a promotion that is run again changes nothing more".to_owned()),
                );
            }
            let mut after = *world;
            after.commands[command] = Command::Chosen { build, length: world.length, back: false };
            take(Action::PromotionChooses { command, build }, Ok(after));
        }
        let Some(build) = world.history(|known| self.rules.rollback(known)).map(number) else { return };
        if world.last == Last::Rollback {
            let words = "a rollback that is run again changes nothing more".to_owned();
            return take(Action::RollbackChooses { command, build }, Err(words));
        }
        if world.rollbacks_left > 0 && is_there(&world.builds[usize::from(build)]) {
            let mut after = World { rollbacks_left: world.rollbacks_left - 1, ..*world };
            after.commands[command] = Command::Chosen { build, length: world.length, back: true };
            take(Action::RollbackChooses { command, build }, Ok(after));
        }
    }

    /// The push: everything is asked again for the lock as it is now.
    fn pushed(&self, world: &World, command: usize, build: u8, length: u8, back: bool) -> Result<World, String> {
        let mut after = Self::later(world);
        after.commands[command] = Command::None;
        let of = world.builds[usize::from(build)];
        if world.gold() == Some(build) {
            // Its answer was lost, or another job was faster with the same run.
            after = *world;
            after.commands[command] = Command::Following { length: world.length, looks: 0 };
            return Ok(after);
        }
        let run = RUNS[usize::from(build)];
        let allowed = back || world.history(|known| self.rules.to_promote(known, time(world.clock)).contains(&run));
        let moved = world.gold_at(length) != world.gold();
        let is_sane = is_there(&of) && (back || of.inputs == world.inputs);
        let state = world.state_of(build);
        let legal = matches!(state, Some(ImageState::Vetted)) || back && state == Some(ImageState::Retired);
        let behind = world.history(|known| self.rules.left_behind(known, run));
        let room = usize::from(world.length) + behind.len() + 2 <= MOVES;
        if moved || !allowed || !is_sane || !legal || !room {
            return Ok(World { clock: world.clock, ..after });
        }
        if !back {
            judged_as_gold(world, build)?;
        }
        let from = last_gold(world);
        for other in behind {
            after.append(number(other), ImageState::Retired);
        }
        if let Some(old) = world.gold() {
            after.append(old, ImageState::Retired);
        }
        after.append(build, ImageState::Gold);
        after.commands[command] = Command::Following { length: after.length, looks: 0 };
        after.last = match back {
            true => Last::Rollback,
            // What was vetted since it chose is other work.
            false if world.length == length => Last::Promotion,
            false => Last::Nothing,
        };
        if let Some(from) = from.filter(|_| back) {
            let bad = after.builds[usize::from(from)].inputs;
            for one in after.builds.iter_mut().take(usize::from(after.built)).filter(|one| one.inputs == bad) {
                one.set_aside = true;
            }
            after.builds[usize::from(build)].set_aside = false;
        }
        Ok(after)
    }

    fn follows(&self, world: &World, length: u8, looks: u8, reads: u8) -> Result<Command, String> {
        const MOST_LOOKS: u8 = 1;
        let entries: Vec<u8> = (0..world.length).collect();
        let next = self.rules.next_lock(&entries[..usize::from(length)], &entries[..usize::from(reads)]);
        match next {
            NextLock::Follow if reads < length => {
                Err(format!("the cloud follows no lock of {reads} moves after one of {length}"))
            }
            NextLock::Follow => Ok(Command::Following { length: reads, looks: 0 }),
            NextLock::LookAgain if looks < MOST_LOOKS => Ok(Command::Following { length, looks: looks + 1 }),
            NextLock::Done | NextLock::LookAgain | NextLock::Refuse => Ok(Command::None),
        }
    }

    fn retreats(&self, world: &World, take: Next<'_>) {
        if world.retreats_left == 0 || usize::from(world.length) >= MOVES {
            return;
        }
        for build in 0..world.built {
            let state = match world.builds[usize::from(build)].place {
                Place::Waiting => ImageState::Candidate,
                Place::Locked => world.state_of(build).expect("the lock has it"),
                Place::Building | Place::Branch => continue,
            };
            if matches!(state, ImageState::Candidate | ImageState::Vetted) {
                take(Action::Retired(build), Ok(Self::retreat(world, build, ImageState::Retired)));
            }
            // Gold by force; an announced revocation may be put off by another one.
            take(Action::Revoked(build), Ok(Self::retreat(world, build, ImageState::Revoked)));
        }
    }

    fn retreat(world: &World, build: u8, state: ImageState) -> World {
        let mut after = World { retreats_left: world.retreats_left - 1, ..Self::later(world) };
        after.append(build, state);
        let given_up = after.builds[usize::from(build)];
        let gold = world.gold().filter(|gold| *gold != build);
        for (number, one) in after.builds.iter_mut().enumerate().take(usize::from(world.built)) {
            let is_gold = gold == u8::try_from(number).ok();
            if one.inputs == given_up.inputs && one.made <= given_up.made && one.place != Place::Building && !is_gold {
                one.set_aside = true;
            }
        }
        after
    }

    fn prunes(&self, world: &World, take: Next<'_>) {
        // Who chose before the AMI was disabled has long ended when the grace period has.
        let under_way = |build: u8| {
            world.commands.iter().any(|one| matches!(one, Command::Chosen { build: chosen, .. } if *chosen == build))
        };
        for build in 0..world.built {
            let run = RUNS[usize::from(build)];
            let spared = || world.history(|known| self.rules.must_stay(known, run, time(world.clock)));
            let one = world.builds[usize::from(build)];
            if !matches!(one.place, Place::Locked) {
                continue;
            }
            let with = |pruned: Pruned, prunes_left: u8| {
                let mut after = World { prunes_left, ..*world };
                after.builds[usize::from(build)].pruned = pruned;
                after
            };
            let left = world.prunes_left;
            match one.pruned {
                Pruned::No if left > 0 && !spared() => {
                    take(Action::PruneDecides(build), Ok(with(Pruned::Decided, left - 1)));
                }
                Pruned::Disabled if left > 0 && !under_way(build) && !spared() => {
                    take(Action::PruneDecides(build), Ok(with(Pruned::Doomed, left - 1)));
                }
                Pruned::Decided | Pruned::Doomed => {
                    let keeps = self.rules.prune_asks_again() && spared();
                    let done = match one.pruned {
                        _ if keeps => {
                            Ok(with(if one.pruned == Pruned::Decided { Pruned::No } else { Pruned::Disabled }, left))
                        }
                        Pruned::Decided => Ok(with(Pruned::Disabled, left)),
                        _ => deleted(world, run).map(|()| with(Pruned::Gone, left)),
                    };
                    take(Action::PruneDoes(build), done);
                }
                Pruned::No | Pruned::Disabled | Pruned::Gone => {}
            }
        }
    }
}

/// Whether EC2 says that it is available.
fn is_there(build: &Build) -> bool {
    matches!(build.pruned, Pruned::No | Pruned::Decided)
}

fn last_gold(world: &World) -> Option<u8> {
    world.moves[..usize::from(world.length)].iter().rev().find(|one| one.state == ImageState::Gold).map(|one| one.build)
}

/// What must hold of a build that becomes gold without a person's word.
fn judged_as_gold(world: &World, build: u8) -> Result<(), String> {
    let one = &world.builds[usize::from(build)];
    if world.gold().is_some_and(|gold| world.made(gold) >= one.made) {
        return Err("gold moves to an older build only by a person's word".to_owned());
    }
    if one.set_aside {
        return Err("what a person set aside comes back only by a person's word".to_owned());
    }
    if !one.evidence || one.inputs != world.inputs {
        return Err("nothing untested or of other inputs is gold".to_owned());
    }
    Ok(())
}

/// What must hold of an AMI that is deleted.
fn deleted(world: &World, run: RunId) -> Result<(), String> {
    let build = number(run);
    let way_back = world.history(ImageHistory::way_back);
    if world.gold() == Some(build) || world.state_of(build) == Some(ImageState::Gold) || way_back == Some(run) {
        return Err("nothing that the lock names is deleted".to_owned());
    }
    Ok(())
}

fn searched(rules: &dyn RegistryRules, bounds: Bounds, most: usize) -> Found<Action> {
    explore(&RegistryModel { rules, bounds }, most)
}

const TWO_PROMOTERS: Bounds =
    Bounds { builds: 3, commands: 2, rollbacks: 2, changes: 0, retreats: 0, prunes: 0, golds: 0 };
const PERSONS: Bounds = Bounds { builds: 4, commands: 1, rollbacks: 2, changes: 1, retreats: 1, prunes: 0, golds: 0 };
const PRUNES: Bounds = Bounds { builds: 4, commands: 1, rollbacks: 2, changes: 0, retreats: 1, prunes: 4, golds: 3 };

/// What was wrong before, and the shortest way to see it.
#[track_caller]
fn breaks(rules: &dyn RegistryRules, bounds: Bounds, wanted: &str) -> Vec<Action> {
    match searched(rules, bounds, 400_000) {
        Found::Broken { way, invariant } => {
            assert!(invariant.contains(wanted), "{invariant}: {way:#?}");
            way
        }
        holds => panic!("the model does not see what is wrong with these rules: {holds:?}"),
    }
}

#[test]
fn the_former_order_let_an_older_build_become_gold() {
    let bounds = Bounds { builds: 2, commands: 1, rollbacks: 0, ..TWO_PROMOTERS };
    let way = breaks(&LastVettedIsNewest, bounds, "an older build only by a person's word");
    let vetted: Vec<&Action> = way.iter().filter(|action| matches!(action, Action::Vetted(_))).collect();
    assert_eq!(vetted, [&Action::Vetted(1), &Action::Vetted(0)], "the newer one first: {way:#?}");
}

#[test]
fn a_rollback_that_nobody_remembers_is_undone_by_what_waits() {
    let way = breaks(
        &ForgetsRollbacks,
        Bounds { commands: 1, rollbacks: 1, golds: 2, ..TWO_PROMOTERS },
        "set aside comes back",
    );
    assert!(way.iter().any(|action| matches!(action, Action::RollbackChooses { .. })), "{way:#?}");
}

#[test]
fn a_rollback_that_toggles_is_undone_by_running_it_again() {
    breaks(&RollbackToggles, Bounds { builds: 2, commands: 1, ..TWO_PROMOTERS }, "a rollback that is run again");
}

#[test]
fn a_read_that_lags_led_the_cloud_back() {
    breaks(&FollowsWhatItReads, Bounds { builds: 2, commands: 1, ..TWO_PROMOTERS }, "the cloud follows no lock");
}

#[test]
fn a_prune_that_reads_once_deletes_what_came_back() {
    breaks(&PruneReadsOnce, PRUNES, "nothing that the lock names is deleted");
}

/// So many states at most where no larger bound is asked for.
fn most() -> usize {
    let asked = std::env::var("ASSAY_REGISTRY_MODEL_STATES").ok();
    asked.map_or(700_000, |text| text.parse().expect("ASSAY_REGISTRY_MODEL_STATES is a number"))
}

#[track_caller]
fn holds(bounds: Bounds) {
    let started = std::time::Instant::now();
    match searched(&Law, bounds, most()) {
        Found::Holds { states, complete } => {
            let whole = if complete { "all of them" } else { "those nearest to the beginning" };
            eprintln!("{states} states ({whole}) in {} s", started.elapsed().as_secs());
            assert!(complete || states >= most());
        }
        Found::Broken { way, invariant } => panic!("{invariant}: {way:#?}"),
    }
}

#[test]
fn the_law_holds_with_two_promoters_in_every_order() {
    holds(TWO_PROMOTERS);
}

#[test]
fn the_law_holds_whatever_persons_decide() {
    holds(PERSONS);
}

#[test]
fn the_law_holds_while_pruning_goes_on() {
    holds(PRUNES);
}
