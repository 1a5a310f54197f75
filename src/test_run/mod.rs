//! The conductor: the only place that knows the order of things. Admission (protect first) → launch → probe → release → evidence and reports → stamp → manifest →
//! protection. It owns that order and what a run amounts to; it refuses to render, to parse what an instance sent, or to call an SDK.

mod admit;
mod ami_checks;
mod answers;
mod conclude;
mod event;
mod examine;
mod external;
mod health;
mod hosts;
mod hurry;
mod inventories;
mod known_hosts;
mod probing;
mod protection;
mod provenance;
pub(crate) mod reach;
mod reboot;
mod report_folder;
mod second_boot;
mod signing;
mod stages;
mod stamping;
mod targets;
mod validate;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub(crate) use event::EventSender;
pub(crate) use hosts::probe;
pub(crate) use provenance::BuildBeginning;
pub(crate) use signing::EvidenceSigner;
pub(crate) use stamping::StampResult;
pub(crate) use validate::validate;

use futures::future::try_join_all;
use protection::ProtectionRecord;
use tokio_util::sync::CancellationToken;

use crate::report::ReportPaths;
use assay_aws::cloud::{CloudError, CloudFactory, Ec2Factory, with_region};
use assay_config::{AccessSettings, Settings};
use assay_model::{
    AmiId, AmiRef, Candidate, Evidence, ImageName, ImageState, Region, RunId, Verdict, exit::ExitStatus,
    shard::ShardRecord, tags,
};

/// What is to be tested, and on whose behalf.
pub(crate) struct RunRequest {
    /// The run under which things are created; all builds of one Packer run share it.
    pub run: RunId,
    /// At least one.
    pub amis: Vec<AmiRef>,
    /// How.
    pub settings: Settings,
    /// The image in `settings` was only assumed (the one image of assay.hcl): an AMI's own tag outweighs it, and a different one is refused.
    pub image_assumed: bool,
    /// The Packer builds that made the AMIs, for the manifest.
    pub builds: Vec<PackerBuild>,
    /// The AMI that they were built from, where it is known.
    pub parent: Option<AmiId>,
    /// Turn deregistration protection on first: Packer is about to destroy what fails.
    pub protect: bool,
    /// Refuse AMIs of another account.
    pub own_only: bool,
    /// Write state tags.
    pub stamp: bool,
    /// Which share of the work this is.
    pub shard: Option<ShardRecord>,
    /// The candidate that the AMIs are of: the evidence is about its run, and says where that came from.
    pub candidate: Option<Candidate>,
    /// What signs the evidence file.
    pub signer: Option<EvidenceSigner>,
    /// What was known when the build of the AMIs began, where that was seen.
    pub began: Option<BuildBeginning>,
}

/// A Packer build, in the words of Packer's manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PackerBuild {
    /// The source's name.
    pub name: String,
    /// e.g. `amazon-ebs`.
    pub builder_type: String,
    /// `region:ami-…[,…]`
    pub artifact_id: String,
    /// PackerRunUUID.
    pub run_uuid: String,
    /// `packer build -force`: a manifest of another run is begun anew, as Packer's own is.
    pub force: bool,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct FinishedRun {
    /// What was found.
    pub evidence: Evidence,
    /// Where the reports are, where a folder for them was given.
    pub reports: Option<ReportPaths>,
    /// The evidence file's signature, where one was asked for.
    pub signature: Option<PathBuf>,
    /// The manifest, where one was written.
    pub manifest: Option<PathBuf>,
    /// What became of each AMI's tags.
    pub stamped: Vec<StampResult>,
    /// The AMIs that assay keeps protected from deregistration.
    pub protected: Vec<AmiRef>,
    /// What went wrong beside the verdict: tags, reports, manifest.
    pub problems: Vec<String>,
}

impl FinishedRun {
    /// Evidence that was written nowhere yet.
    pub(crate) fn unrecorded(evidence: Evidence) -> Self {
        Self {
            evidence,
            reports: None,
            signature: None,
            manifest: None,
            stamped: Vec::new(),
            protected: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// The exit code that this amounts to.
    pub(crate) fn exit(&self) -> ExitStatus {
        match self.evidence.verdict {
            Verdict::Failed => ExitStatus::Failed,
            Verdict::Undecided => ExitStatus::Undecided,
            Verdict::Passed if !self.problems.is_empty() => ExitStatus::Undecided,
            Verdict::Passed if !self.evidence.leftovers.is_empty() => ExitStatus::Leftovers,
            Verdict::Passed => ExitStatus::Done,
        }
    }

    /// Why a build must not be green, in one or more lines; `None` where all is well. Leftovers alone do not fail a build: they are warned of.
    pub(crate) fn complaint(&self) -> Option<String> {
        let mut lines = Vec::new();
        if self.evidence.verdict != Verdict::Passed {
            let counts = self.evidence.counts();
            lines.push(format!(
                "assay: {} ({} passed, {} failed, {} undecided)",
                self.evidence.verdict, counts.passed, counts.failed, counts.undecided
            ));
            for target in self.evidence.targets.iter().filter(|t| t.verdict != Verdict::Passed) {
                let reason = target.undecided.as_ref().map_or(String::new(), |u| format!(": {}", u.reason));
                lines.push(format!("{}: {}{reason}", target.target, target.verdict));
            }
        }
        lines.extend(self.problems.iter().cloned());
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

/// The AMIs of `image` that carry `state` in their tags, in these regions, sorted. Fails with the first region's error.
pub(crate) async fn find(
    access: &AccessSettings,
    image: &ImageName,
    state: ImageState,
    regions: &[Region],
) -> Result<Vec<AmiRef>, CloudError> {
    let access = with_region(access, regions.first()).await;
    let factory = Ec2Factory::connect(&access).await;
    let wanted = [
        (tags::MANAGED.to_owned(), "true".to_owned()),
        (tags::IMAGE.to_owned(), image.to_string()),
        (tags::STATE.to_owned(), state.to_string()),
    ];
    let found = regions.iter().map(|region| {
        let cloud = factory.region(region);
        let wanted = &wanted;
        async move {
            let images = cloud.find_images(wanted).await?;
            Ok::<_, CloudError>(
                images.into_iter().map(|i| AmiRef { region: region.clone(), id: i.id }).collect::<Vec<_>>(),
            )
        }
    });
    let mut amis: Vec<AmiRef> = try_join_all(found).await?.into_iter().flatten().collect();
    amis.sort();
    Ok(amis)
}

/// Protects AMIs and does nothing else: for what turns out to be untestable when an error would cost the AMI. `run`: under which it is noted. After
/// a cancel it goes on for a few seconds only. Returns whether every one of them is protected now.
pub(crate) async fn keep(
    access: &AccessSettings,
    run: RunId,
    amis: &[AmiRef],
    events: &EventSender,
    cancel: &CancellationToken,
) -> bool {
    let keeping = async {
        let access = with_region(access, amis.first().map(|ami| &ami.region)).await;
        let factory = Ec2Factory::connect(&access).await;
        let record = ProtectionRecord::open(run, events);
        let (kept, _account) = admit::admit(&factory, amis, Some(&record), false, events).await;
        record.close();
        kept.iter().all(|one| one.protection.is_some())
    };
    hurry::bounded(cancel, keeping).await.unwrap_or_else(|| {
        events.warn("cancelled before EC2 said that the AMIs are protected from deregistration");
        false
    })
}
