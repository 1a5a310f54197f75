//! The last steps on each AMI: state tags, then protection. It owns when protection is lifted; it refuses to render or to write files.

use futures::future::join_all;

use super::{admit::AdmittedImage, event::EventSender, protection::ProtectionRecord};
use assay_aws::registry::{self, ProtectionOrigin, StateTags};
use assay_config::OnFailure;
use assay_model::{AmiRef, ImageState, RunEvent, TargetEvidence, Verdict, cause::chain, tags, target::verdict_on};

/// What became of one AMI's tags.
#[derive(Debug)]
pub(crate) struct StampResult {
    /// Which AMI.
    pub ami: AmiRef,
    /// The state in its tags now, as far as we know; absent without a state tag.
    pub state: Option<ImageState>,
    /// Why the wanted state is not there.
    pub problem: Option<String>,
}

/// Stamps every AMI with the state that follows from its own verdict, the worst over all of its targets, all at once. `state_tags` carries what is common; state and verdict are set per AMI.
/// `in_packer_build`: other post-processor blocks of the same run may have stamped them; a test after the build decides what those left open.
pub(super) async fn stamp_all(
    admitted: &[AdmittedImage],
    targets: &[TargetEvidence],
    state_tags: &StateTags,
    in_packer_build: bool,
    events: &EventSender,
) -> Vec<StampResult> {
    let stamp = |one| stamp_one(one, verdict_on(&one.ami, targets), state_tags, in_packer_build, events);
    join_all(admitted.iter().map(stamp)).await
}

async fn stamp_one(
    one: &AdmittedImage,
    verdict: Verdict,
    common: &StateTags,
    in_packer_build: bool,
    events: &EventSender,
) -> StampResult {
    let ami = one.ami.clone();
    // Described again: the state may have moved while we tested.
    let image = match one.cloud.describe_images(std::slice::from_ref(&ami.id)).await {
        Ok(images) => images.into_iter().next(),
        Err(error) => return StampResult { ami, state: None, problem: Some(error.to_string()) },
    };
    let Some(image) = image else {
        return StampResult { problem: Some(format!("{ami} is gone")), ami, state: None };
    };
    let from = match registry::state_of(&image) {
        Ok(from) => from,
        Err(error) => return StampResult { ami, state: None, problem: Some(error.to_string()) },
    };
    // Another post-processor block of the same Packer run was here before: its questions without an answer are not answered by our pass, nor ours by its.
    let same_run = image.tags.get(tags::RUN).is_some_and(|run| *run == common.run.to_string());
    if in_packer_build && same_run && unanswered_in_one_of_two(from, verdict) {
        events.note(format!("{ami} stays without a verdict: a test of this run was undecided"));
        return StampResult { ami, state: Some(ImageState::Untested), problem: None };
    }
    let Some(state) = ImageState::after_validation(from, verdict) else {
        events.note(format!(
            "{ami} stays {}: verdict {verdict} does not move it",
            from.map_or("untagged", ImageState::as_str)
        ));
        return StampResult { ami, state: from, problem: None };
    };
    let state_tags = StateTags { state, verdict, ..common.clone() };
    match registry::stamp(one.cloud.as_ref(), &image, &state_tags).await {
        Ok(()) => {
            events.tell(RunEvent::Stamped { target: ami.to_string(), state });
            StampResult { ami, state: Some(state), problem: None }
        }
        Err(error) => StampResult { ami, state: from, problem: Some(chain(&error)) },
    }
}

/// Whether of two tests in one run one passed and the other was undecided. `from`: the state that the first one gave.
fn unanswered_in_one_of_two(from: Option<ImageState>, verdict: Verdict) -> bool {
    matches!(
        (from, verdict),
        (Some(ImageState::Untested), Verdict::Passed) | (Some(ImageState::Candidate), Verdict::Undecided)
    )
}

/// Lifts our own protection where the AMI need not be kept by it: the whole run passed, is stamped and recorded; or it failed, the user chose `destroy`, and this
/// AMI's own verdict is not undecided. Returns the AMIs that stay protected by us.
pub(super) async fn settle_protection(
    admitted: &[AdmittedImage],
    targets: &[TargetEvidence],
    recorded_well: bool,
    on_failure: OnFailure,
    record: &ProtectionRecord,
    events: &EventSender,
) -> Vec<AmiRef> {
    let run = Verdict::over(targets.iter().map(|t| t.verdict));
    let settled = admitted.iter().map(|one| {
        let lift = match run {
            Verdict::Passed => recorded_well,
            Verdict::Failed => on_failure == OnFailure::Destroy && verdict_on(&one.ami, targets) != Verdict::Undecided,
            Verdict::Undecided => false,
        };
        settle_one(one, lift, record, events)
    });
    join_all(settled).await.into_iter().flatten().collect()
}

/// The AMI where our protection stays on it.
async fn settle_one(
    one: &AdmittedImage,
    lift: bool,
    record: &ProtectionRecord,
    events: &EventSender,
) -> Option<AmiRef> {
    if one.protection? == ProtectionOrigin::Before {
        return None;
    }
    let (true, Some(image)) = (lift, &one.image) else { return Some(one.ami.clone()) };
    let error = record.lift(one.cloud.as_ref(), &one.ami, image).await.err()?;
    events.warn(format!(
        "{} is still protected from deregistration ({error}); lift it with: \
         aws ec2 disable-image-deregistration-protection --region {} --image-id {}",
        one.ami, one.ami.region, one.ami.id
    ));
    Some(one.ami.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_tests_in_one_run_an_undecided_one_counts() {
        use Verdict::{Failed, Passed, Undecided};
        for (from, verdict, due) in [
            (Some(ImageState::Untested), Passed, true),
            (Some(ImageState::Candidate), Undecided, true),
            (Some(ImageState::Untested), Failed, false),
            (Some(ImageState::Untested), Undecided, false),
            (Some(ImageState::Candidate), Passed, false),
            (Some(ImageState::Rejected), Passed, false),
            (None, Passed, false),
        ] {
            assert_eq!(unanswered_in_one_of_two(from, verdict), due, "{from:?} {verdict}");
        }
    }
}
