//! Every case of the decision, as a table: what is known, then what is said. Days are counted from an arbitrary one; "now" is day 100.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;

use super::{BuildDecision, ImageFacts, MadeBuild, ParentFacts, ParentGold, decide};
use assay_model::{
    AmiId, Architecture, Digest, ImageState, Region, RunId,
    history::{BuildFacts, ImageHistory, MoveFacts},
};

const DAY: i64 = 86_400;

fn day(number: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + number * DAY).expect("a time")
}

fn run(number: u8) -> RunId {
    format!("01KAQ3B6G0R8ZJ5Q2X7V9N4M{number:02}").parse().expect("a run")
}

fn region(name: &str) -> Region {
    name.parse().expect("a region")
}

fn digest(word: &str) -> Digest {
    Digest::of(word.as_bytes())
}

fn ami(number: u8) -> AmiId {
    format!("ami-0abcdef12345678{number:02}").parse().expect("an AMI")
}

/// A build of inputs `digest_word`, tested on a day.
fn made(number: u8, state: ImageState, digest_word: &str, tested: i64) -> MadeBuild {
    MadeBuild {
        run: run(number),
        state,
        digest: Some(digest(digest_word)),
        parent: None,
        tested_at: day(tested),
        made_at: day(tested),
        places: BTreeSet::from([(Architecture::X86_64, region("us-east-1"))]),
        superseded: false,
        objection: None,
    }
}

fn on(parent: u8, made: MadeBuild) -> MadeBuild {
    MadeBuild { parent: Some(ami(parent)), ..made }
}

fn superseded(made: MadeBuild) -> MadeBuild {
    MadeBuild { superseded: true, ..made }
}

/// What the law says of the builds, where each was moved to its state on the day it was tested.
fn judge(made: &mut [MadeBuild]) {
    let digests: Vec<Option<Digest>> = made.iter().map(|made| made.digest.clone()).collect();
    let mut builds = Vec::new();
    for (made, digest) in made.iter().zip(&digests) {
        let (made_at, tested_at, inputs) = (made.made_at, made.tested_at, digest.as_ref().map(Digest::as_str));
        builds.push(BuildFacts { run: made.run, inputs, began_at: made_at, made_at, tested_at, state: made.state });
    }
    let is_moved = |made: &&MadeBuild| matches!(made.state, Vetted | Gold | Retired | Revoked);
    let moved = made.iter().rev().filter(is_moved);
    let moves = moved.map(|made| MoveFacts { run: made.run, state: made.state, at: made.tested_at }).collect();
    let gold = made.iter().find(|made| made.state == Gold).map(|made| made.run);
    let history = ImageHistory { moves, builds, gold };
    made.iter_mut().for_each(|made| made.objection = history.objection(made.run, day(100)));
}

/// An image with inputs "now", newest builds first as they come from git.
fn facts(mut made: Vec<MadeBuild>) -> ImageFacts {
    made.sort_by_key(|made| std::cmp::Reverse(made.tested_at));
    judge(&mut made);
    ImageFacts {
        image: "web".parse().expect("a name"),
        digest: Some(digest("now")),
        gold_here: made.iter().find(|made| made.state == ImageState::Gold).and_then(|made| made.digest.clone()),
        made,
        parent: None,
        max_age: Some(Duration::from_secs(7 * 86_400)),
        forced: false,
        architectures: Vec::new(),
        regions: Vec::new(),
    }
}

/// Built on "base", whose gold 50 (AMI 50) is gold since day 90.
fn child(made: Vec<MadeBuild>) -> ImageFacts {
    let gold = ParentGold { run: run(50), amis: vec![ami(50), ami(51)], since: day(90) };
    let parent = ParentFacts { image: "base".parse().expect("a name"), gold: Some(gold), pending: false };
    ImageFacts { parent: Some(parent), ..facts(made) }
}

fn parent_of(facts: &mut ImageFacts) -> &mut ParentFacts {
    facts.parent.as_mut().expect("a parent")
}

/// `due: names` or `not due: names`.
fn said(decision: &BuildDecision) -> String {
    let names: Vec<&str> = decision.reasons.iter().map(|reason| reason.name()).collect();
    let due = if decision.due { "due" } else { "not due" };
    let stuck = if decision.is_stuck() { " (stuck)" } else { "" };
    format!("{due}: {}{stuck}", names.join(", "))
}

fn assert_cases(cases: Vec<(&str, ImageFacts, &str)>) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(what, facts, wanted)| {
            let found = said(&decide(facts, day(100)));
            (found != *wanted).then(|| format!("{what}: {found}, wanted {wanted}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

use ImageState::{Candidate, Gold, Rejected, Retired, Revoked, Untested, Vetted};

#[test]
fn an_image_that_stands_alone() {
    let forced = |facts| ImageFacts { forced: true, ..facts };
    let ageless = |facts| ImageFacts { max_age: None, ..facts };
    assert_cases(vec![
        ("nothing", facts(vec![]), "due: never-built"),
        ("gold of these inputs", facts(vec![made(1, Gold, "now", 95)]), "not due: gold-is-current"),
        ("gold of others", facts(vec![made(1, Gold, "then", 95)]), "due: inputs-changed"),
        ("candidate of others", facts(vec![made(1, Candidate, "then", 95)]), "due: inputs-changed"),
        ("unknown inputs", facts(vec![MadeBuild { digest: None, ..made(1, Gold, "", 95) }]), "due: inputs-changed"),
        (
            "candidate of these",
            facts(vec![made(1, Gold, "then", 95), made(2, Candidate, "now", 99)]),
            "not due: candidate-exists",
        ),
        (
            "vetted of these",
            facts(vec![made(1, Gold, "then", 95), made(2, Vetted, "now", 99)]),
            "not due: candidate-exists",
        ),
        ("gold on the last day", facts(vec![made(1, Gold, "now", 93)]), "not due: gold-is-current"),
        ("gold too old", facts(vec![made(1, Gold, "now", 92)]), "due: too-old"),
        ("no max_age", ageless(facts(vec![made(1, Gold, "now", 1)])), "not due: gold-is-current"),
        (
            "rebuilt for its age",
            facts(vec![made(1, Gold, "now", 92), made(2, Candidate, "now", 99)]),
            "not due: candidate-exists",
        ),
        ("candidate too old", facts(vec![made(1, Candidate, "now", 50)]), "due: too-old"),
        ("untested", facts(vec![made(1, Gold, "then", 95), made(2, Untested, "now", 99)]), "due: untested"),
        (
            "untested twice in a row",
            facts(vec![made(1, Gold, "then", 95), made(2, Untested, "now", 98), made(3, Untested, "now", 99)]),
            "not due: no-verdict (stuck)",
        ),
        (
            "untested, passed, untested",
            facts(vec![made(1, Untested, "now", 97), made(2, Candidate, "now", 98), made(3, Untested, "now", 99)]),
            "not due: candidate-exists",
        ),
        ("the build died", facts(vec![made(2, ImageState::Building, "now", 99)]), "due: untested"),
        (
            "untested beside a good one",
            facts(vec![made(1, Gold, "now", 95), made(2, Untested, "now", 99)]),
            "not due: gold-is-current",
        ),
        ("forced", forced(facts(vec![made(1, Gold, "now", 99)])), "due: forced"),
        ("forced after a reject", forced(facts(vec![made(1, Rejected, "now", 99)])), "due: forced"),
    ]);
}

#[test]
fn what_was_rejected_or_taken_out_of_use_is_not_built_again_and_again() {
    assert_cases(vec![
        ("rejected", facts(vec![made(1, Gold, "then", 95), made(2, Rejected, "now", 99)]), "not due: rejected (stuck)"),
        ("rejected, and mended", facts(vec![made(2, Rejected, "then", 99)]), "due: inputs-changed"),
        (
            "rejected, and then passed",
            facts(vec![made(2, Rejected, "now", 98), made(3, Candidate, "now", 99)]),
            "not due: candidate-exists",
        ),
        (
            "rejected, and then no verdict",
            facts(vec![made(2, Rejected, "now", 98), made(3, Untested, "now", 99)]),
            "due: untested",
        ),
        (
            "a rebuild was rejected, gold is young",
            facts(vec![made(1, Gold, "now", 95), made(2, Rejected, "now", 99)]),
            "not due: gold-is-current",
        ),
        (
            "a rebuild was rejected, gold is old",
            facts(vec![made(1, Gold, "now", 80), made(2, Rejected, "now", 99)]),
            "not due: rejected (stuck)",
        ),
        (
            "a rebuild was rejected long ago",
            facts(vec![made(1, Gold, "now", 70), made(2, Rejected, "now", 80)]),
            "due: too-old",
        ),
        (
            "rolled back",
            facts(vec![made(1, Gold, "then", 80), made(2, Retired, "now", 99)]),
            "not due: set-aside (stuck)",
        ),
        (
            "rolled back long ago",
            facts(vec![made(1, Gold, "then", 70), made(2, Retired, "now", 80)]),
            "not due: set-aside (stuck)",
        ),
        (
            "rolled back, and an older candidate of the same inputs lies about",
            facts(vec![made(1, Gold, "then", 80), made(2, Candidate, "now", 95), made(3, Retired, "now", 99)]),
            "not due: set-aside (stuck)",
        ),
        (
            "rolled back, then forced and passed",
            facts(vec![made(1, Gold, "then", 80), made(2, Retired, "now", 98), made(3, Candidate, "now", 99)]),
            "not due: candidate-exists",
        ),
        (
            "rolled back to a young gold of the same inputs",
            facts(vec![made(1, Gold, "now", 95), made(2, Retired, "now", 99)]),
            "not due: gold-is-current",
        ),
        (
            "rolled back to an old gold of the same inputs",
            facts(vec![made(1, Gold, "now", 80), made(2, Retired, "now", 99)]),
            "not due: set-aside (stuck)",
        ),
        (
            "… and tried again after max_age",
            facts(vec![made(1, Gold, "now", 70), made(2, Retired, "now", 80)]),
            "due: too-old",
        ),
        ("revoked", facts(vec![made(1, Revoked, "now", 99)]), "not due: set-aside (stuck)"),
        ("revoked, and mended", facts(vec![made(1, Revoked, "then", 99)]), "due: inputs-changed"),
        (
            "inputs went back to those of an earlier gold",
            facts(vec![superseded(made(1, Retired, "now", 80)), made(2, Gold, "then", 95)]),
            "due: inputs-changed",
        ),
    ]);
}

#[test]
fn gold_that_lacks_what_is_declared_is_built_again_but_not_for_ever() {
    let both = |facts| ImageFacts { architectures: vec![Architecture::X86_64, Architecture::Arm64], ..facts };
    let there = |facts| ImageFacts { regions: vec![region("us-east-1"), region("eu-west-1")], ..facts };
    let complete = |mut made: MadeBuild| {
        made.places.insert((Architecture::Arm64, region("us-east-1")));
        made.places.insert((Architecture::Arm64, region("eu-west-1")));
        made.places.insert((Architecture::X86_64, region("eu-west-1")));
        made
    };
    let gold = || made(1, Gold, "now", 95);
    let with = |newer: MadeBuild| both(facts(vec![gold(), newer]));
    assert_cases(vec![
        ("an architecture", both(facts(vec![gold()])), "due: gold-incomplete"),
        ("a region", there(facts(vec![gold()])), "due: gold-incomplete"),
        ("it has all", both(facts(vec![complete(gold())])), "not due: gold-is-current"),
        ("it is there", there(facts(vec![complete(gold())])), "not due: gold-is-current"),
        ("a candidate has it", with(complete(made(2, Candidate, "now", 99))), "not due: candidate-exists"),
        ("a candidate lacks it too", with(made(2, Vetted, "now", 99)), "not due: candidate-exists"),
        ("a newer build was rejected", with(made(2, Rejected, "now", 99)), "not due: rejected (stuck)"),
        ("a newer gold was rolled back", with(made(2, Retired, "now", 99)), "not due: set-aside (stuck)"),
        ("a newer build has no verdict", with(made(2, Untested, "now", 99)), "due: untested"),
        (
            "two newer builds have none",
            both(facts(vec![gold(), made(2, Untested, "now", 98), made(3, Untested, "now", 99)])),
            "not due: no-verdict (stuck)",
        ),
    ]);
    let said = decide(&there(both(facts(vec![gold()]))), day(100)).reasons[0].to_string();
    let wanted = format!(
        "gold {} has these inputs, and no AMI for x86_64 in eu-west-1, arm64, which assay.hcl declares",
        run(1)
    );
    assert_eq!(said, wanted);
}

#[test]
fn what_promotion_would_refuse_is_no_reason_to_wait() {
    assert_cases(vec![
        (
            "a candidate of these inputs from before gold of others",
            facts(vec![made(1, Candidate, "now", 90), made(2, Gold, "then", 95)]),
            "due: inputs-changed",
        ),
        (
            "… and one from after it",
            facts(vec![made(1, Candidate, "now", 97), made(2, Gold, "then", 95)]),
            "not due: candidate-exists",
        ),
    ]);
}

#[test]
fn a_branch_that_is_behind_and_changed_nothing_builds_nothing() {
    let behind = || facts(vec![superseded(made(1, Retired, "now", 80)), made(2, Gold, "newer", 95)]);
    assert_cases(vec![
        ("behind", ImageFacts { gold_here: Some(digest("now")), ..behind() }, "not due: branch-is-behind"),
        ("behind and changed", ImageFacts { gold_here: Some(digest("older")), ..behind() }, "due: inputs-changed"),
        ("never had a gold here", ImageFacts { gold_here: None, ..behind() }, "due: inputs-changed"),
    ]);
}

#[test]
fn an_image_that_is_built_on_another() {
    let pending = |mut facts: ImageFacts| {
        parent_of(&mut facts).pending = true;
        facts
    };
    let orphan = |mut facts: ImageFacts| {
        parent_of(&mut facts).gold = None;
        facts
    };
    let forced = |facts| ImageFacts { forced: true, ..facts };
    assert_cases(vec![
        ("current", child(vec![on(50, made(1, Gold, "now", 95))]), "not due: gold-is-current"),
        ("on the parent's copy elsewhere", child(vec![on(51, made(1, Gold, "now", 95))]), "not due: gold-is-current"),
        ("parent moved", child(vec![on(40, made(1, Gold, "now", 89))]), "due: parent-moved"),
        ("candidate on the old parent", child(vec![on(40, made(1, Candidate, "now", 89))]), "due: parent-moved"),
        (
            "parent moved and inputs changed",
            child(vec![on(40, made(1, Gold, "then", 89))]),
            "due: inputs-changed, parent-moved",
        ),
        (
            "rebuilt on it",
            child(vec![on(40, made(1, Gold, "now", 89)), on(50, made(2, Candidate, "now", 95))]),
            "not due: candidate-exists",
        ),
        (
            "rejected on it",
            child(vec![on(40, made(1, Gold, "now", 89)), on(50, made(2, Rejected, "now", 95))]),
            "not due: rejected (stuck)",
        ),
        ("rejected on the one before", child(vec![on(40, made(1, Rejected, "now", 89))]), "due: parent-moved"),
        (
            "the race: one build ended after the move",
            child(vec![on(40, made(1, Gold, "now", 91))]),
            "due: parent-moved",
        ),
        (
            "the template does not follow",
            child(vec![on(40, made(1, Gold, "now", 91)), on(40, made(2, Candidate, "now", 92))]),
            "not due: parent-not-followed (stuck)",
        ),
        ("says not what it stands on, made since", child(vec![made(1, Gold, "now", 95)]), "not due: gold-is-current"),
        ("says not what it stands on, made before", child(vec![made(1, Gold, "now", 89)]), "due: parent-moved"),
        ("never built", child(vec![]), "due: never-built"),
        (
            "parent is due",
            pending(child(vec![on(50, made(1, Gold, "then", 95))])),
            "not due: inputs-changed, waits-for-parent",
        ),
        (
            "parent is due, we are current",
            pending(child(vec![on(50, made(1, Gold, "now", 95))])),
            "not due: gold-is-current",
        ),
        ("parent is due, forced", pending(forced(child(vec![]))), "due: forced"),
        ("parent has no gold", orphan(child(vec![])), "not due: never-built, waits-for-parent"),
        ("parent has no gold, forced", orphan(forced(child(vec![]))), "not due: forced, waits-for-parent"),
        (
            "the parent's gold was revoked",
            orphan(child(vec![on(40, made(1, Gold, "now", 95))])),
            "not due: parent-moved, waits-for-parent",
        ),
    ]);
    assert_eq!(
        decide(&orphan(child(vec![])), day(100)).waits_for.map(|name| name.to_string()).as_deref(),
        Some("base")
    );
}

#[test]
fn without_inputs_only_age_parent_and_force_are_seen() {
    let blind = |facts| ImageFacts { digest: None, ..facts };
    assert_cases(vec![
        ("never built", blind(facts(vec![])), "due: never-built, inputs-unseen"),
        ("gold of whatever", blind(facts(vec![made(1, Gold, "then", 95)])), "not due: gold-is-current, inputs-unseen"),
        ("too old", blind(facts(vec![made(1, Gold, "then", 80)])), "due: too-old, inputs-unseen"),
        ("parent moved", blind(child(vec![on(40, made(1, Gold, "x", 89))])), "due: parent-moved, inputs-unseen"),
        ("rejected", blind(facts(vec![made(1, Rejected, "x", 99)])), "not due: rejected, inputs-unseen (stuck)"),
    ]);
}

#[test]
fn people_read_why() {
    let two = ImageFacts {
        architectures: vec![Architecture::X86_64, Architecture::Arm64],
        ..facts(vec![made(2, Candidate, "now", 99)])
    };
    let words = |facts: &ImageFacts| {
        let decision = decide(facts, day(100));
        decision.reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(
        words(&two),
        format!("candidate {} has these inputs and waits for validation; it has no AMI for arm64 yet", run(2))
    );
    assert_eq!(words(&facts(vec![made(1, Gold, "now", 80)])), format!("{} was tested 20d ago, max_age is 7d", run(1)));
    let decision = decide(&two, day(100));
    assert_eq!(decision.newest, Some((run(2), Candidate)));
    assert_eq!(decide(&facts(vec![made(1, Gold, "then", 99)]), day(100)).newest, None, "of these inputs there is none");
}
