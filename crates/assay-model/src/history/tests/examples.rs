//! Single sentences of the law, each by one history.

use jiff::Timestamp;

use super::super::{BuildFacts, GoldObjection, ImageHistory, LockOrder, MoveFacts, RollbackMove, lock_order};
use crate::{ImageState, RunId};

fn run(number: u8) -> RunId {
    format!("01KAQ3B6G0R8ZJ5Q2X7V9N4M{number:02}").parse().expect("a run")
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

/// A build by its number, inputs and time.
fn build(number: u8, inputs: &'static str, made: i64) -> BuildFacts<'static> {
    BuildFacts {
        run: run(number),
        inputs: Some(inputs),
        began_at: at(made),
        made_at: at(made),
        tested_at: at(made),
        state: ImageState::Candidate,
    }
}

/// Moves by number, state and time; gold is what they say.
fn history(builds: &[BuildFacts<'static>], moves: &[(u8, ImageState, i64)]) -> ImageHistory<'static> {
    let moves: Vec<MoveFacts> = moves
        .iter()
        .map(|(number, state, second)| MoveFacts { run: run(*number), state: *state, at: at(*second) })
        .collect();
    let mut known = ImageHistory { moves, builds: builds.to_vec(), gold: None };
    let last = known.moves.iter().rev().find(|entry| entry.state == ImageState::Gold).map(|entry| entry.run);
    known.gold = last.filter(|run| known.state_of(*run) == Some(ImageState::Gold));
    known
}

const NOW: i64 = 1_000;

fn objection(known: &ImageHistory<'_>, number: u8) -> Option<GoldObjection> {
    known.objection(run(number), at(NOW))
}

use ImageState::{Gold, Retired, Revoked, Vetted};

#[test]
fn what_is_not_newer_than_gold_needs_a_person() {
    let known = history(&[build(1, "a", 10), build(2, "a", 20), build(3, "a", 30)], &[(2, Vetted, 40), (2, Gold, 41)]);
    assert_eq!(objection(&known, 1), Some(GoldObjection::NotNewer { than: run(2) }));
    assert_eq!(objection(&known, 3), None);
    assert_eq!(known.to_validate("a", at(NOW)), [run(3)]);
    assert_eq!(known.left_behind(run(3)), [run(1)]);
}

#[test]
fn a_clock_that_runs_ahead_makes_no_build_the_newest() {
    let ahead = BuildFacts { tested_at: at(NOW + 3600), ..build(2, "a", 20) };
    let known = history(&[build(1, "a", 10), ahead], &[]);
    assert_eq!(objection(&known, 2), Some(GoldObjection::FromTheFuture { at: at(NOW + 3600) }));
    assert_eq!(known.to_validate("a", at(NOW)), [run(1)]);
}

#[test]
fn a_rollback_is_a_stack_and_is_made_once() {
    let builds = [build(1, "a", 10), build(2, "a", 20), build(3, "b", 30)];
    let up = [
        (1, Vetted, 11),
        (1, Gold, 12),
        (2, Vetted, 21),
        (1, Retired, 22),
        (2, Gold, 22),
        (3, Vetted, 31),
        (2, Retired, 32),
        (3, Gold, 32),
    ];
    let known = history(&builds, &up);
    assert_eq!(known.rollback(None), RollbackMove::To(run(2)));
    let back = [&up[..], &[(3, Retired, 40), (2, Gold, 40)]].concat();
    let known = history(&builds, &back);
    assert_eq!(known.rollback(None), RollbackMove::Already { run: run(2), further: Some(run(1)) });
    assert_eq!(known.way_back(), Some(run(1)), "what pruning keeps");
    assert_eq!(known.rollback(Some(run(1))), RollbackMove::To(run(1)));
    assert_eq!(known.rollback(Some(run(3))), RollbackMove::To(run(3)), "a person may change her mind");
    // By force nothing is gold: then there is a way back again.
    let known = history(&builds, &[&back[..], &[(2, Revoked, 50)]].concat());
    assert_eq!(known.rollback(None), RollbackMove::To(run(1)));
}

#[test]
fn what_was_gone_back_from_bars_all_that_began_before() {
    let late = BuildFacts { began_at: at(35), ..build(4, "b", 60) };
    let builds = [build(1, "a", 10), build(3, "b", 30), late, build(5, "b", 70), build(6, "a", 20)];
    let moves = [
        (1, Vetted, 11),
        (1, Gold, 12),
        (3, Vetted, 31),
        (1, Retired, 32),
        (3, Gold, 32),
        (3, Retired, 40),
        (1, Gold, 40),
    ];
    let known = history(&builds, &moves);
    assert_eq!(
        objection(&known, 4),
        Some(GoldObjection::WentBack { from: run(3), at: at(40) }),
        "begun before, made after"
    );
    assert_eq!(objection(&known, 5), None, "begun with the rollback known");
    assert_eq!(objection(&known, 6), None, "of other inputs, and newer than gold");
    assert_eq!(known.taken_out_of_use(run(3)), Some(Retired));
}

#[test]
fn superseded_is_not_taken_out_of_use() {
    let builds = [build(1, "a", 10), build(2, "a", 20), build(3, "a", 30)];
    let moves = [
        (1, Vetted, 11),
        (1, Gold, 12),
        (2, Vetted, 21),
        (2, Retired, 22),
        (3, Vetted, 31),
        (1, Retired, 32),
        (3, Gold, 32),
    ];
    let known = history(&builds, &moves);
    assert_eq!((known.taken_out_of_use(run(1)), known.taken_out_of_use(run(2))), (None, Some(Retired)));
}

#[test]
fn a_lock_that_does_not_go_on_is_not_followed() {
    let cases = [
        (&[1, 2][..], &[1, 2][..], LockOrder::Same),
        (&[1, 2], &[1, 2, 3], LockOrder::Later),
        (&[1, 2], &[1], LockOrder::Earlier),
        (&[1, 2], &[1, 3, 4], LockOrder::Diverged),
    ];
    for (seen, now, wanted) in cases {
        assert_eq!(lock_order(seen, now), wanted, "{seen:?} {now:?}");
    }
}
