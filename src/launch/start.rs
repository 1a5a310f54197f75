//! One launch: the request, and the call that is made until it is answered. It owns what a test instance is launched with.

use std::time::Instant as Clock;

use super::{
    Identity,
    ground::{Ground, Site},
    tags,
    target::{of_cloud, undecided},
    user_data::{self, Expiry},
};
use crate::{
    cloud::{CloudErrorKind, Image, RunInstances},
    journal::Kind,
    model::{Boot, Phase, TargetId, UndecidedKind, evidence::Undecided},
};

/// A launch that EC2 accepted.
#[derive(Debug, Clone)]
pub(super) struct Started {
    pub(super) target: TargetId,
    pub(super) id: String,
    pub(super) instance_type: String,
    pub(super) host_key: Option<String>,
    pub(super) began: Clock,
    pub(super) launched: Clock,
    pub(super) phases: Vec<Phase>,
}

/// Launches `target` from `image`. On an error the journal says whether something may have come of it.
pub(super) async fn start(
    site: &Site<'_>,
    ground: &Ground,
    target: &TargetId,
    image: &Image,
    expiry: Expiry,
    began: Clock,
) -> Result<Started, Undecided> {
    let called = Clock::now();
    let instance_type = instance_type(site, target, image)?;
    let Preparation { user_data, host_key } = prepare(site, target.boot, expiry)?;
    let step = site.begin(Kind::Instance)?;
    let request = RunInstances {
        image: image.id.clone(),
        instance_type: instance_type.clone(),
        client_token: step.name.clone(),
        key_name: ground.key_name.clone(),
        security_group_ids: ground.security_group_ids.clone(),
        subnet_id: ground.subnet_id.clone(),
        associate_public_ip_address: site.order.launch.associate_public_ip_address,
        iam_instance_profile: site.order.launch.iam_instance_profile.clone(),
        user_data,
        delete_on_termination: kept_devices(image),
        spot_price: site.order.launch.spot_price.clone(),
        tags: tags::named(site.tags, &step.name),
    };
    // NotFound: key pair and group were made a moment ago.
    let outcome = site.insist(&[CloudErrorKind::NotFound], || site.cloud.run_instance(&request)).await;
    match outcome.answer {
        Ok(instance) => {
            site.made(&step, &instance.id);
            Ok(Started {
                target: target.clone(),
                id: instance.id,
                instance_type,
                host_key,
                began,
                launched: Clock::now(),
                phases: vec![phase("launch", called, Clock::now())],
            })
        }
        Err(error) => {
            site.not_made(&step, &error, outcome.ambiguous);
            Err(of_cloud(&error))
        }
    }
}

/// What an instance is told at its first boot.
struct Preparation {
    /// Empty: nothing.
    user_data: Vec<u8>,
    /// The public host key in it.
    host_key: Option<String>,
}

/// An undisturbed boot is told nothing at all, not even the user's own: what the image does by itself is to be seen. Then nothing powers the instance off but
/// we, our reaper, and a sweep once its tag says so.
fn prepare(site: &Site<'_>, boot: Boot, expiry: Expiry) -> Result<Preparation, Undecided> {
    if boot == Boot::Undisturbed {
        return Ok(Preparation { user_data: Vec::new(), host_key: None });
    }
    let host_key = Identity::generate("assay")
        .map_err(|error| undecided(UndecidedKind::Configuration, format!("a host key could not be made: {error}")))?;
    let user = site.order.launch.user_data.as_deref();
    let user_data = user_data::merge(user, &host_key, expiry)
        .map_err(|error| undecided(UndecidedKind::Configuration, error.to_string()))?;
    Ok(Preparation { user_data, host_key: Some(host_key.public_line()) })
}

/// The target's own where several are tested, else the settings', else by architecture.
fn instance_type(site: &Site<'_>, target: &TargetId, image: &Image) -> Result<String, Undecided> {
    let by_settings = || site.order.launch.instance_types.first().cloned();
    let by_architecture = || image.architecture.map(|a| a.default_instance_type().to_owned());
    target.instance_type.clone().or_else(by_settings).or_else(by_architecture).ok_or_else(|| {
        let reason = format!("{} has an architecture that assay does not know: set instance_type", image.id);
        undecided(UndecidedKind::Configuration, reason)
    })
}

/// Devices whose volumes the AMI would leave behind. The others go with their instance already, and EC2 takes one override per device.
fn kept_devices(image: &Image) -> Vec<String> {
    let kept = image.block_devices.iter().filter(|device| !device.delete_on_termination);
    kept.map(|device| device.device_name.clone()).collect()
}

/// The phase `name` from `from` to `to`.
pub(super) fn phase(name: &str, from: Clock, to: Clock) -> Phase {
    let length = to.saturating_duration_since(from).as_millis();
    Phase { name: name.to_owned(), duration_ms: u64::try_from(length).unwrap_or(u64::MAX) }
}
