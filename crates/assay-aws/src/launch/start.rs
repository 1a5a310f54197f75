//! One target's launch: the request, and the calls that are made until one is answered. It owns what a test instance is launched with, and that what EC2 has no
//! room for is tried in the next place under a new name and token, never again under the same.

use std::time::Instant as Clock;

use super::{
    KeyPairText,
    ground::{RegionContext, RegionResources},
    offers::{LaunchOffer, LaunchOffers},
    tags,
    target::{of_cloud, undecided},
    user_data::{self, InstanceExpiry},
};
use crate::{
    cloud::{CapacityShortfall, CloudError, CloudErrorKind, CloudImage, RunInstances},
    journal::JournaledKind,
};
use assay_model::{
    BootOptions, PhaseTime, TargetId, UndecidedKind,
    evidence::{RefusedLaunch, UndecidedReason},
};

/// A launch that EC2 accepted.
#[derive(Debug, Clone)]
pub(super) struct StartedLaunch {
    pub(super) target: TargetId,
    pub(super) id: String,
    pub(super) instance_type: String,
    pub(super) host_key: Option<String>,
    pub(super) began: Clock,
    pub(super) launched: Clock,
    pub(super) phases: Vec<PhaseTime>,
    pub(super) refused: Vec<RefusedLaunch>,
    /// What was taken, and what is left to try where EC2 has no room for it after all.
    pub(super) attempt: LaunchAttempt,
}

/// How far a launch has come through the ways that are open to it.
#[derive(Debug, Clone)]
pub(super) struct LaunchAttempt {
    offers: LaunchOffers,
    unclear: bool,
}

/// A target of which nothing was launched, as far as we know.
#[derive(Debug)]
pub(super) struct NotStarted {
    pub(super) reason: UndecidedReason,
    /// A call went unanswered: an instance may be there all the same, and the journal leads to it.
    pub(super) unclear: bool,
    pub(super) refused: Vec<RefusedLaunch>,
}

impl From<UndecidedReason> for NotStarted {
    fn from(reason: UndecidedReason) -> Self {
        Self { reason, unclear: false, refused: Vec::new() }
    }
}

/// Launches `target` from `image`, in the first place that has room for it. On an error the journal says whether something may have come of it.
pub(super) async fn start(
    site: &RegionContext<'_>,
    ground: &RegionResources,
    target: &TargetId,
    image: &CloudImage,
    expiry: InstanceExpiry,
) -> Result<StartedLaunch, NotStarted> {
    let attempt =
        LaunchAttempt { offers: LaunchOffers::new(types(site, target, image)?, &ground.spots), unclear: false };
    go_through(site, ground, (target, image), expiry, attempt, Vec::new()).await
}

/// A launch that EC2 accepted, and had no room for a moment later.
pub(super) struct LateRefusal {
    pub(super) started: StartedLaunch,
    pub(super) lack: CapacityShortfall,
    pub(super) reason: String,
}

/// Goes on after a late refusal with what was not tried yet.
pub(super) async fn start_again(
    site: &RegionContext<'_>,
    ground: &RegionResources,
    image: &CloudImage,
    expiry: InstanceExpiry,
    LateRefusal { started, lack, reason }: LateRefusal,
) -> Result<StartedLaunch, NotStarted> {
    let StartedLaunch { target, mut attempt, mut refused, .. } = started;
    if let Some(offer) = attempt.offers.current() {
        refused.push(refusal(&offer, reason));
    }
    if lack == CapacityShortfall::Zone && attempt.offers.is_ec2s_choice() {
        attempt.offers.add(default_spots(site, ground).await);
    }
    attempt.offers.advance(lack);
    go_through(site, ground, (&target, image), expiry, attempt, refused).await
}

async fn go_through(
    site: &RegionContext<'_>,
    ground: &RegionResources,
    (target, image): (&TargetId, &CloudImage),
    expiry: InstanceExpiry,
    LaunchAttempt { mut offers, mut unclear }: LaunchAttempt,
    mut refused: Vec<RefusedLaunch>,
) -> Result<StartedLaunch, NotStarted> {
    let began = Clock::now();
    let preparation = prepare(site, target.boot, expiry)?;
    let mut kind = if refused.is_empty() { UndecidedKind::Cloud } else { UndecidedKind::NoCapacity };
    while let Some(offer) = offers.current() {
        let request = request(site, ground, image, &offer, &preparation);
        let error = match attempt(site, request).await {
            Ok(id) => {
                return Ok(StartedLaunch {
                    target: target.clone(),
                    id,
                    instance_type: offer.instance_type,
                    host_key: preparation.host_key,
                    began,
                    launched: Clock::now(),
                    phases: vec![phase("launch", began, Clock::now())],
                    refused,
                    attempt: LaunchAttempt { offers, unclear },
                });
            }
            Err(LaunchFailure::Here(reason)) => return Err(NotStarted { reason, unclear, refused }),
            Err(LaunchFailure::Call { error, ambiguous }) => {
                unclear |= ambiguous;
                error
            }
        };
        if error.is_of_another_architecture() && !refused.is_empty() {
            // One list of fallbacks serves images of several architectures.
            offers.advance(CapacityShortfall::Type);
            continue;
        }
        let Some(lack) = error.lack() else {
            return Err(NotStarted { reason: of_cloud(&error), unclear, refused });
        };
        refused.push(refusal(&offer, format!("{}: {}", error.code, error.message)));
        if error.kind == CloudErrorKind::NoCapacity {
            kind = UndecidedKind::NoCapacity;
        }
        if lack == CapacityShortfall::Zone && offers.is_ec2s_choice() {
            offers.add(default_spots(site, ground).await);
        }
        offers.advance(lack);
    }
    Err(NotStarted { reason: no_room(kind, &refused), unclear, refused })
}

/// Where EC2 would have chosen from. Where that cannot be learned there is no other place to try, and the refusal itself says why.
async fn default_spots<'a>(site: &RegionContext<'_>, ground: &'a RegionResources) -> &'a [super::offers::LaunchSubnet] {
    match ground.default_spots.get_or_try_init(|| site.default_spots()).await {
        Ok(spots) => spots,
        Err(reason) => {
            tracing::info!(reason = reason.reason, "the default subnets could not be listed");
            &[]
        }
    }
}

fn refusal(offer: &LaunchOffer, reason: String) -> RefusedLaunch {
    RefusedLaunch {
        instance_type: offer.instance_type.clone(),
        availability_zone: offer.spot.as_ref().and_then(|spot| spot.zone.clone()),
        subnet: offer.spot.as_ref().map(|spot| spot.subnet.clone()),
        reason,
    }
}

/// All that was asked for is exhausted: for lack of capacity somewhere, or because the type is known nowhere.
fn no_room(kind: UndecidedKind, refused: &[RefusedLaunch]) -> UndecidedReason {
    let tried: Vec<String> = refused.iter().map(ToString::to_string).collect();
    let cure = "more subnets (subnet_ids, subnet_filter) or instance_type_fallbacks may have it";
    undecided(kind, format!("EC2 has no room for this launch: {}; {cure}", tried.join("; ")))
}

/// Why one call launched nothing.
enum LaunchFailure {
    /// It was not made: a cancellation, or no journal.
    Here(UndecidedReason),
    /// EC2's error, and whether an earlier try of the same call went unanswered.
    Call { error: CloudError, ambiguous: bool },
}

/// One call under one name and token, which stand in the journal before it. Returns the instance's id.
async fn attempt(site: &RegionContext<'_>, mut request: RunInstances) -> Result<String, LaunchFailure> {
    let step = site.begin(JournaledKind::Instance).map_err(LaunchFailure::Here)?;
    request.client_token.clone_from(&step.name);
    request.tags = tags::named(site.tags, &step.name);
    // NotFound: key pair and group were made a moment ago.
    let outcome = site.patience.insist(&[CloudErrorKind::NotFound], || site.cloud.run_instance(&request)).await;
    match outcome.answer {
        Ok(instance) => {
            site.made(&step, &instance.id);
            Ok(instance.id)
        }
        Err(error) => {
            site.not_made(&step, &error, outcome.ambiguous);
            let ambiguous = outcome.ambiguous || error.kind == CloudErrorKind::Unknown;
            Err(LaunchFailure::Call { error, ambiguous })
        }
    }
}

/// The request, without the token that makes it a certain one.
fn request(
    site: &RegionContext<'_>,
    ground: &RegionResources,
    image: &CloudImage,
    offer: &LaunchOffer,
    preparation: &BootPreparation,
) -> RunInstances {
    let launch = &site.order.launch;
    RunInstances {
        image: image.id.clone(),
        instance_type: offer.instance_type.clone(),
        client_token: String::new(),
        key_name: ground.key_name.clone(),
        security_group_ids: ground.security_group_ids.clone(),
        subnet_id: offer.spot.as_ref().map(|spot| spot.subnet.clone()),
        associate_public_ip_address: launch.associate_public_ip_address,
        iam_instance_profile: launch.iam_instance_profile.clone(),
        user_data: preparation.user_data.clone(),
        delete_on_termination: kept_devices(image),
        spot_price: launch.spot_price.clone(),
        tags: Default::default(),
    }
}

/// What an instance is told at its first boot.
struct BootPreparation {
    /// Empty: nothing.
    user_data: Vec<u8>,
    /// The public host key in it.
    host_key: Option<String>,
}

/// An undisturbed boot is told nothing at all, not even the user's own: what the image does by itself is to be seen. Then nothing powers the instance off but
/// we, our reaper, and a sweep once its tag says so.
fn prepare(
    site: &RegionContext<'_>,
    boot: BootOptions,
    expiry: InstanceExpiry,
) -> Result<BootPreparation, UndecidedReason> {
    if boot == BootOptions::Undisturbed {
        return Ok(BootPreparation { user_data: Vec::new(), host_key: None });
    }
    let host_key = KeyPairText::generate("assay")
        .map_err(|error| undecided(UndecidedKind::Configuration, format!("a host key could not be made: {error}")))?;
    let user = site.order.launch.user_data.as_deref();
    let user_data = user_data::merge(user, &host_key, expiry)
        .map_err(|error| undecided(UndecidedKind::Configuration, error.to_string()))?;
    Ok(BootPreparation { user_data, host_key: Some(host_key.public_line()) })
}

/// The types to try, in order: the target's own where several are tested, else the settings', else by architecture; then what the settings would take in its place.
fn types(site: &RegionContext<'_>, target: &TargetId, image: &CloudImage) -> Result<Vec<String>, UndecidedReason> {
    let launch = &site.order.launch;
    let by_settings = || launch.instance_types.first().cloned();
    let by_architecture = || image.architecture.map(|a| a.default_instance_type().to_owned());
    let wanted = target.instance_type.clone().or_else(by_settings).or_else(by_architecture).ok_or_else(|| {
        let reason = format!("{} has an architecture that assay does not know: set instance_type", image.id);
        undecided(UndecidedKind::Configuration, reason)
    })?;
    let fallbacks = launch.fallback_types.iter().filter(|other| **other != wanted).cloned();
    let fallbacks: Vec<String> = fallbacks.collect();
    Ok([vec![wanted], fallbacks].concat())
}

/// Devices whose volumes the AMI would leave behind. The others go with their instance already, and EC2 takes one override per device.
fn kept_devices(image: &CloudImage) -> Vec<String> {
    let kept = image.block_devices.iter().filter(|device| !device.delete_on_termination);
    kept.map(|device| device.device_name.clone()).collect()
}

/// The phase `name` from `from` to `to`.
pub(super) fn phase(name: &str, from: Clock, to: Clock) -> PhaseTime {
    let length = to.saturating_duration_since(from).as_millis();
    PhaseTime { name: name.to_owned(), duration_ms: u64::try_from(length).unwrap_or(u64::MAX) }
}
