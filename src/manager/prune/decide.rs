//! What to keep, and why. Pure reasoning over what git and EC2 said: it owns every rule of retention; it makes no call and has no clock.
//!
//! The rules, each of which is enough to keep an AMI: gold by lock or by tag; what a rollback would bring back; vetted and newer than gold, or vetted without gold; of the newest N releases
//! of its image and state; younger than N days there; protected, and not by assay; in use, or possibly so; shared, and possibly in use; parent of an AMI that
//! is kept; anything about it not known.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::{
    record::RecordedImages,
    subject::{PruneAction, PruneSubject},
};
use assay_aws::cloud::{ImageUses, SharedWith};
use assay_config::prune::{KeepCount, PruneRequest};
use assay_model::{AmiId, ImageName, ImageState, RunId, tags};

/// A build that is at work looks like one that was given up; so long it is taken for the former.
const BUILD_TIME: SignedDuration = SignedDuration::from_hours(24);
/// Why AMIs of images stay that the command did not name.
pub(super) const NOT_ASKED: &str = "its image was not named";
/// EC2 rounds the time of a deprecation to the minute, and ours lies a little ahead.
const ROUNDING: SignedDuration = SignedDuration::from_mins(3);

/// What a region could tell of the AMIs that are past retention; an error's words where it could not.
pub(super) struct RegionFacts {
    /// Who uses which.
    pub uses: Result<ImageUses, String>,
    /// Who else may launch each, and when it was last launched.
    pub sharing: BTreeMap<AmiId, Result<SharedWithOthers, String>>,
}

/// Who else may launch an AMI.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedWithOthers {
    /// Who.
    pub with: SharedWith,
    /// When anybody last did, RFC 3339; asked only where it is shared.
    pub last_launched: Option<String>,
}

/// One of a run's AMIs counts with all the others: a release.
type ImageRelease = (ImageName, ImageState, RunId);

fn release(subject: &PruneSubject) -> Option<ImageRelease> {
    let claim = subject.claim.as_ref().ok()?;
    Some((claim.image.clone(), claim.state?, claim.run))
}

/// Makes the AMIs of one run, in whatever region, share one state where git names none: the one that keeps most.
pub(super) fn agree_on_states(subjects: &mut [PruneSubject]) {
    let mut states: BTreeMap<(ImageName, RunId), ImageState> = BTreeMap::new();
    for claim in subjects.iter().filter_map(|subject| subject.claim.as_ref().ok()) {
        if let Some(state) = claim.state {
            let best = states.entry((claim.image.clone(), claim.run)).or_insert(state);
            *best = worthier(*best, state);
        }
    }
    for claim in subjects.iter_mut().filter_map(|subject| subject.claim.as_mut().ok()) {
        claim.state = states.get(&(claim.image.clone(), claim.run)).copied().or(claim.state);
    }
}

/// The one of two states that speaks more for keeping.
fn worthier(one: ImageState, other: ImageState) -> ImageState {
    const RISING: [ImageState; 8] = [
        ImageState::Revoked,
        ImageState::Rejected,
        ImageState::Building,
        ImageState::Untested,
        ImageState::Retired,
        ImageState::Candidate,
        ImageState::Vetted,
        ImageState::Gold,
    ];
    RISING.into_iter().rev().find(|known| [one, other].contains(known)).unwrap_or(one)
}

/// Marks what retention keeps: gold, newer than gold, newest, young, protected, without a state.
pub(super) fn retain(subjects: &mut [PruneSubject], record: &RecordedImages, request: &PruneRequest, now: Timestamp) {
    let ranks = ranks(subjects, record);
    for subject in subjects.iter_mut() {
        if let Some(image) = record.gold_of(&subject.ami.id) {
            subject.keep(format!("gold of image {image} on the protected branch"));
        }
        if subject.image.tags.get(tags::STATE).is_some_and(|state| state == ImageState::Gold.as_str()) {
            subject.keep("tagged gold");
        }
        let Ok(claim) = subject.claim.clone() else { continue };
        if let Some(why) = record.unaccounted(&subject.ami, Some(&claim.image), Some(claim.run)) {
            subject.keep(why);
        }
        if !request.asks_for(&claim.image) {
            subject.keep(NOT_ASKED);
        }
        let Some(state) = claim.state else {
            subject.keep("has no state");
            continue;
        };
        let reasons = match ranks.get(&(claim.image.clone(), state, claim.run)) {
            Some(rank) => rank.reasons(&claim.image, state, record, request, now),
            None => vec!["its release is not known".to_owned()],
        };
        subject.keep.extend(reasons);
        if record.is_gold(&claim.image, claim.run) {
            subject.keep("its run is gold on the protected branch");
        }
        if record.is_rollback_target(&claim.image, claim.run) {
            subject.keep("assay rollback would bring it back");
        } else if record.must_stay(&claim.image, claim.run, now) {
            subject.keep("it is gold, or may yet become gold");
        }
        if subject.image.deregistration_protected && !subject.is_protected_by_assay() {
            subject.keep("protected from deregistration, and not by assay as far as can be told; lift it to let it go");
        }
        if !matches!(subject.image.state.as_str(), "available" | "disabled") {
            let state = subject.image.state.clone();
            subject.keep(format!("EC2 says that it is {state}"));
        }
    }
}

/// What ranks a release: whether it was gold, how young it is, and its run.
type ReleaseStanding = (bool, Timestamp, RunId);

/// Where a release stands among those of its image and state.
struct ReleaseRank {
    /// 1: the newest.
    place: usize,
    of: usize,
    newest: Timestamp,
}

impl ReleaseRank {
    fn reasons(
        &self,
        image: &ImageName,
        state: ImageState,
        record: &RecordedImages,
        request: &PruneRequest,
        now: Timestamp,
    ) -> Vec<String> {
        let mut reasons = Vec::new();
        if state == ImageState::Gold {
            reasons.push("gold".to_owned());
        }
        if state == ImageState::Vetted && record.gold_made_at(image).is_none_or(|gold| self.newest >= gold) {
            reasons.push("vetted, and newer than gold".to_owned());
        }
        let Some(KeepCount { releases, days }) = request.rule(image, state) else {
            return vec![format!("assay.hcl does not declare image {image}")];
        };
        if self.place <= releases as usize {
            reasons
                .push(format!("release {} of {} in state {state}, of which {releases} are kept", self.place, self.of));
        }
        let age = now.duration_since(self.newest);
        if age < SignedDuration::from_hours(24 * i64::from(days)) {
            reasons.push(format!("{} days old, kept for {days}", age.as_hours() / 24));
        }
        if state == ImageState::Building && age < BUILD_TIME {
            reasons.push("may still be building".to_owned());
        }
        reasons
    }
}

/// Every release's place. A release is as young as the newest of its AMIs or its last move in the lock. Those that were gold come before those that never
/// were: a promotion retires the old gold and what it supersedes at the same time, and only the former can come back.
fn ranks(subjects: &[PruneSubject], record: &RecordedImages) -> BTreeMap<ImageRelease, ReleaseRank> {
    let mut newest: BTreeMap<ImageRelease, Timestamp> = BTreeMap::new();
    for subject in subjects {
        let (Some(key), Ok(claim)) = (release(subject), &subject.claim) else { continue };
        let moved = record.moved_at(&claim.image, claim.run).unwrap_or(claim.made_at);
        let time = newest.entry(key).or_insert(claim.made_at);
        *time = (*time).max(claim.made_at).max(moved);
    }
    let mut groups: BTreeMap<(ImageName, ImageState), Vec<ReleaseStanding>> = BTreeMap::new();
    for ((image, state, run), time) in newest {
        let was_gold = record.was_gold(&image, run);
        groups.entry((image, state)).or_default().push((was_gold, time, run));
    }
    let mut ranks = BTreeMap::new();
    for ((image, state), mut releases) in groups {
        releases.sort_by(|a, b| b.cmp(a));
        let of = releases.len();
        for (index, (_, newest, run)) in releases.into_iter().enumerate() {
            ranks.insert((image.clone(), state, run), ReleaseRank { place: index + 1, of, newest });
        }
    }
    ranks
}

/// Marks what is in use, or may be: only AMIs that nothing else keeps are looked at.
pub(super) fn in_use(subject: &mut PruneSubject, facts: Option<&RegionFacts>) {
    if !subject.is_due() {
        return;
    }
    let Some(facts) = facts else {
        return subject.keep("its region told nothing");
    };
    match &facts.uses {
        Err(why) => subject.keep(format!("who uses it is not known: {why}")),
        Ok(uses) => {
            let found = uses.found.get(&subject.ami.id).map(Vec::as_slice).unwrap_or_default();
            subject.keep.extend(found.iter().map(|used| format!("in use by {used}")));
            if let Some(one) = uses.unknown.first().filter(|_| found.is_empty()) {
                let more = uses.unknown.len().saturating_sub(1);
                let others = if more == 0 { String::new() } else { format!(" (and {more} more)") };
                subject.keep(format!("may be in use by {one}{others}"));
            }
        }
    }
}

/// Marks what its parentage keeps: an AMI that another one was built from stays as long as that one, and as long as git calls a child gold or vetted. Comes
/// last, since whatever else is kept may be such a child.
pub(super) fn keep_parents(subjects: &mut [PruneSubject], record: &RecordedImages) {
    let mut wanted: BTreeMap<AmiId, String> = record.living_parents();
    loop {
        for subject in subjects.iter().filter(|subject| subject.stays()) {
            for parent in subject.parents(record) {
                wanted.entry(parent).or_insert_with(|| format!("{}, which is kept", subject.ami.id));
            }
        }
        let mut more = false;
        for subject in subjects.iter_mut().filter(|subject| subject.is_due()) {
            if let Some(child) = wanted.get(&subject.ami.id) {
                subject.keep(format!("parent of {child}"));
                more |= subject.action != PruneAction::Deprecate;
            }
        }
        if !more {
            return;
        }
    }
}

/// Marks what others may use, and says what is to be done with the rest.
pub(super) fn choose_action(
    subject: &mut PruneSubject,
    facts: Option<&RegionFacts>,
    request: &PruneRequest,
    now: Timestamp,
) {
    if !subject.is_due() {
        return;
    }
    match next_step(subject, facts, request, now) {
        Ok(action) => subject.action = action,
        Err(reason) => subject.keep(reason),
    }
}

fn next_step(
    subject: &PruneSubject,
    facts: Option<&RegionFacts>,
    request: &PruneRequest,
    now: Timestamp,
) -> Result<PruneAction, String> {
    let shared = match facts.and_then(|facts| facts.sharing.get(&subject.ami.id)) {
        Some(Ok(shared)) => shared,
        Some(Err(why)) => return Err(format!("who else may launch it is not known: {why}")),
        None => return Err("who else may launch it is not known".to_owned()),
    };
    let deprecated = subject.image.attributes.deprecation_time.parse::<Timestamp>().ok();
    let ripe = |since: Timestamp| now.duration_since(since).saturating_add(ROUNDING) >= grace(request);
    if shared.with.public {
        return Err("public: everybody may launch it".to_owned());
    }
    if !shared.with.nobody() {
        others(subject, shared, request, now)?;
        match deprecated {
            None => return Ok(PruneAction::Deprecate),
            Some(since) if !ripe(since) => {
                return Err(format!("shared with other accounts, and deprecated at {since}"));
            }
            Some(_) => {}
        }
    }
    Ok(match (subject.image.state.as_str(), deprecated) {
        _ if request.grace.is_zero() => PruneAction::Delete,
        ("disabled", Some(since)) if ripe(since) => PruneAction::Delete,
        ("disabled", Some(since)) => PruneAction::Wait(since.checked_add(grace(request)).unwrap_or(since)),
        _ => PruneAction::Disable,
    })
}

fn grace(request: &PruneRequest) -> SignedDuration {
    SignedDuration::try_from(request.grace).unwrap_or(SignedDuration::MAX)
}

/// Fails with why an AMI that others may launch stays as it is. What they run is not visible; that it was launched is, a day later. So it goes only when
/// nobody has launched it for as long as releases are kept, and not before twice that age, having been deprecated in between.
fn others(
    subject: &PruneSubject,
    shared: &SharedWithOthers,
    request: &PruneRequest,
    now: Timestamp,
) -> Result<(), String> {
    let rule = subject.claim.as_ref().ok().and_then(|claim| Some((claim, request.rule(&claim.image, claim.state?)?)));
    let Some((claim, rule)) = rule else { return Err("shared with other accounts".to_owned()) };
    let days = |count: u32| SignedDuration::from_hours(24 * i64::from(count));
    if let Some(last) = &shared.last_launched {
        let Ok(time) = last.parse::<Timestamp>() else {
            return Err(format!("shared with other accounts, and last launched at {last:?}, which is no time"));
        };
        if now.duration_since(time) < days(rule.days) {
            return Err(format!("shared with other accounts, and launched at {last}"));
        }
    }
    let twice = rule.days.saturating_mul(2);
    let deprecated = !subject.image.attributes.deprecation_time.is_empty();
    if deprecated && now.duration_since(claim.made_at) < days(twice) {
        return Err(format!("shared with other accounts, whose use is not visible: kept for {twice} days"));
    }
    Ok(())
}

/// The AMIs that have come so far that their use must be known.
pub(super) fn due_in<'a>(subjects: &'a [PruneSubject], region: &'a assay_model::Region) -> BTreeSet<AmiId> {
    let due = subjects.iter().filter(|subject| subject.is_due() && subject.ami.region == *region);
    due.map(|subject| subject.ami.id.clone()).collect()
}
