//! The end of a run: evidence and reports written, tags stamped and read back, manifest appended, protection settled. It owns that order: tags name the
//! digest of evidence that is already on disk, the manifest says what became of the tags, and protection goes only when nothing is left that could still
//! turn the build red.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use tokio_util::sync::CancellationToken;

use super::{
    FinishedRun, PackerBuild, RunRequest, StampResult,
    admit::AdmittedImage,
    event::EventSender,
    hurry,
    protection::ProtectionRecord,
    stamping::{settle_protection, stamp_all},
};
use crate::report::{self, ReportPaths};
use assay_aws::registry::StateTags;
use assay_model::{
    AmiRecord, Digest, Evidence, ImageName, ImageState, ManifestBuild, Verdict, cause::chain, evidence::TargetEvidence,
    manifest, target::verdict_on,
};

/// Where the evidence is and what its digest is.
struct RecordedEvidence {
    digest: Option<Digest>,
    path: Option<PathBuf>,
    reports: Option<ReportPaths>,
}

/// Concludes a run. What goes wrong here becomes a problem of the result; the verdict stays what it is.
pub(super) async fn conclude(
    request: &RunRequest,
    admitted: &[AdmittedImage],
    evidence: Evidence,
    protections: &ProtectionRecord,
    events: &EventSender,
    cancel: &CancellationToken,
) -> FinishedRun {
    let mut problems = Vec::new();
    let recorded = record(request, &evidence, &mut problems);
    let signature = sign(request, recorded.reports.as_ref(), cancel, &mut problems).await;
    let stamping = stamp(request, admitted, &evidence, recorded.digest.clone(), events);
    let stamped = hurry::bounded(cancel, stamping).await.unwrap_or_else(|| {
        problems.push("the AMIs' tags were not written: cancelled".to_owned());
        Vec::new()
    });
    problems.extend(stamped.iter().filter_map(|s| s.problem.as_ref().map(|p| format!("{}: {p}", s.ami))));
    let manifest = append_manifest(request, admitted, &evidence, &recorded, &stamped, &mut problems);
    let on_failure = request.settings.on_failure;
    let settling = settle_protection(admitted, &evidence.targets, problems.is_empty(), on_failure, protections, events);
    let protected = hurry::bounded(cancel, settling).await.unwrap_or_else(|| request.amis.clone());
    FinishedRun { evidence, reports: recorded.reports, signature, manifest, stamped, protected, problems }
}

fn record(request: &RunRequest, evidence: &Evidence, problems: &mut Vec<String>) -> RecordedEvidence {
    if let Some(folder) = &request.settings.report_dir {
        // In a Packer build other blocks may have written here; else this is the run's latest test, which counts.
        let written = match request.protect {
            true => report::write_all(folder, evidence),
            false => report::write_anew(folder, evidence),
        };
        match written {
            Ok(paths) => {
                let digest = Some(paths.evidence_digest.clone());
                return RecordedEvidence { digest, path: Some(paths.evidence.clone()), reports: Some(paths) };
            }
            Err(error) => problems.push(chain(&error)),
        }
    }
    if let Some(manifest) = &request.settings.manifest {
        let path = beside(manifest, evidence, &request.builds);
        match report::evidence::write_evidence(&path, evidence) {
            Ok(digest) => return RecordedEvidence { digest: Some(digest), path: Some(path), reports: None },
            Err(error) => problems.push(chain(&error)),
        }
    }
    let digest = report::json::pretty(evidence).ok().map(|text| Digest::of(text.as_bytes()));
    RecordedEvidence { digest, path: None, reports: None }
}

/// Signs the evidence file, where that was asked for. Evidence of any verdict is signed: the signature says who found it.
async fn sign(
    request: &RunRequest,
    reports: Option<&ReportPaths>,
    cancel: &CancellationToken,
    problems: &mut Vec<String>,
) -> Option<PathBuf> {
    let (signer, reports) = (request.signer.as_ref()?, reports?);
    let signed = hurry::bounded(cancel, signer.sign_file(&reports.evidence)).await;
    signed
        .unwrap_or_else(|| Err(format!("{} was not signed: cancelled", reports.evidence.display())))
        .map_err(|problem| problems.push(problem))
        .ok()
}

/// Where evidence goes without a folder for reports: beside the manifest, under a name that no other build of the run has, and no other post-processor block
/// with suites of its own.
fn beside(manifest: &Path, evidence: &Evidence, builds: &[PackerBuild]) -> PathBuf {
    let build = builds.iter().map(|b| b.artifact_id.as_str()).collect::<Vec<_>>().join(",");
    let suites = evidence.suites.iter().map(|suite| format!("\n{}", suite.digest)).collect::<String>();
    let digest = Digest::of((build + &suites).as_bytes()).to_string();
    manifest.with_file_name(format!("evidence-{}-{}.json", evidence.run, &digest["sha256:".len()..][..12]))
}

async fn stamp(
    request: &RunRequest,
    admitted: &[AdmittedImage],
    evidence: &Evidence,
    digest: Option<Digest>,
    events: &EventSender,
) -> Vec<StampResult> {
    let Some(image) = evidence.image.clone().filter(|_| request.stamp) else {
        if request.stamp {
            events
                .note("no tags were written: no image was named, and the AMIs carry no tag assay:image; give --image");
        }
        return Vec::new();
    };
    let state_tags = StateTags {
        image,
        run: evidence.run,
        state: ImageState::Untested,
        verdict: evidence.verdict,
        evidence: digest,
        provenance: evidence.provenance.clone(),
        user_tags: request.settings.tags.clone(),
    };
    stamp_all(admitted, &evidence.targets, &state_tags, request.protect, events).await
}

fn append_manifest(
    request: &RunRequest,
    admitted: &[AdmittedImage],
    evidence: &Evidence,
    recorded: &RecordedEvidence,
    stamped: &[StampResult],
    problems: &mut Vec<String>,
) -> Option<PathBuf> {
    let path = request.settings.manifest.clone()?;
    let (Some(digest), Some(evidence_path), Some(image)) = (&recorded.digest, &recorded.path, &evidence.image) else {
        problems.push(format!(
            "{} was not written: there is no evidence file or no image name to put into it",
            path.display()
        ));
        return None;
    };
    for build in &request.builds {
        let part = BuildPart::of(build, admitted, &evidence.targets, stamped);
        if part.amis.is_empty() && request.shard.is_some() {
            // All of it is in other shares.
            continue;
        }
        let entry = entry(build, &part, request, evidence, image, &relative(evidence_path, &path), digest);
        if let Err(error) = report::append(&path, &entry, build.force) {
            problems.push(chain(&error));
            return None;
        }
    }
    Some(path)
}

/// The AMIs of one build.
struct BuildPart {
    records: Vec<AmiRecord>,
    amis: BTreeMap<String, String>,
    verdict: Verdict,
    state: ImageState,
}

impl BuildPart {
    fn of(
        build: &PackerBuild,
        admitted: &[AdmittedImage],
        targets: &[TargetEvidence],
        stamped: &[StampResult],
    ) -> Self {
        let mine = |name: &str| build.artifact_id.split(',').any(|part| part.trim() == name);
        let amis = admitted.iter().map(|a| &a.ami).filter(|ami| mine(&ami.to_string()));
        // An AMI of the build that was not looked at (it is another share's) leaves the build without a verdict.
        let whole = amis.clone().count() == build.artifact_id.split(',').filter(|part| !part.trim().is_empty()).count();
        let missing = (!whole).then_some(Verdict::Undecided);
        let verdict = Verdict::over(amis.map(|ami| verdict_on(ami, targets)).chain(missing));
        let mut states: Vec<ImageState> =
            stamped.iter().filter(|s| mine(&s.ami.to_string())).filter_map(|s| s.state).collect();
        if !whole && !states.is_empty() {
            states.push(ImageState::Untested);
        }
        Self {
            records: admitted.iter().filter(|a| mine(&a.ami.to_string())).filter_map(AdmittedImage::record).collect(),
            amis: admitted
                .iter()
                .filter(|a| mine(&a.ami.to_string()))
                .map(|a| (a.ami.region.to_string(), a.ami.id.to_string()))
                .collect(),
            verdict,
            state: common_state(&states).unwrap_or(ImageState::after_smoke(verdict)),
        }
    }
}

/// The state of several AMIs as one word: what they agree on, else rejected before untested.
fn common_state(states: &[ImageState]) -> Option<ImageState> {
    let first = *states.first()?;
    if states.iter().all(|s| *s == first) {
        return Some(first);
    }
    Some(if states.contains(&ImageState::Rejected) { ImageState::Rejected } else { ImageState::Untested })
}

fn entry(
    build: &PackerBuild,
    part: &BuildPart,
    request: &RunRequest,
    evidence: &Evidence,
    image: &ImageName,
    evidence_path: &str,
    digest: &Digest,
) -> ManifestBuild {
    let data = &request.settings.custom_data;
    ManifestBuild {
        name: build.name.clone(),
        builder_type: build.builder_type.clone(),
        build_time: Some(jiff::Timestamp::now().as_second()),
        files: None,
        artifact_id: build.artifact_id.clone(),
        packer_run_uuid: build.run_uuid.clone(),
        custom_data: (!data.is_empty()).then(|| data.clone()),
        assay: Some(manifest::StampedBuild {
            image: image.clone(),
            run: evidence.run,
            state: part.state,
            verdict: part.verdict,
            amis: part.amis.clone(),
            records: part.records.clone(),
            provenance: evidence.provenance.clone(),
            evidence: evidence_path.to_owned(),
            evidence_digest: digest.clone(),
            tested_at: evidence.finished_at.clone(),
            leftovers: evidence.leftovers.clone(),
        }),
    }
}

/// `path` as seen from the folder of `manifest`, so that both are found again wherever they are taken together. Paths that have nothing in common but the root
/// stay as they are: such a way would be longer and no better.
fn relative(path: &Path, manifest: &Path) -> String {
    let (Some(target), Some(manifest)) = (plain(path), plain(manifest)) else { return path.display().to_string() };
    let folder: Vec<Component<'_>> = manifest.components().collect();
    let folder = &folder[..folder.len().saturating_sub(1)];
    let common = target.components().zip(folder).take_while(|(one, other)| one == *other).count();
    if common <= 1 && folder.len() > 1 {
        return target.display().to_string();
    }
    let up = folder[common..].iter().map(|_| Component::ParentDir);
    up.chain(target.components().skip(common)).collect::<PathBuf>().display().to_string()
}

/// An absolute path without `.` and `..`; `None` where there is no working folder.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for component in std::path::absolute(path).ok()?.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_for_several_amis() {
        use ImageState::{Candidate, Rejected, Untested};
        assert_eq!(common_state(&[]), None);
        assert_eq!(common_state(&[Candidate, Candidate]), Some(Candidate));
        assert_eq!(common_state(&[Candidate, Untested]), Some(Untested));
        assert_eq!(common_state(&[Untested, Rejected]), Some(Rejected));
    }

    #[test]
    fn evidence_is_named_from_the_manifests_folder() {
        assert_eq!(
            relative(Path::new("build/reports/evidence.json"), Path::new("build/manifest.json")),
            "reports/evidence.json"
        );
        for (report, manifest) in [
            ("reports/base/evidence.json", "build/manifest.json"),
            ("build/reports/evidence.json", "./build/manifest.json"),
            ("../reports/evidence.json", "build/manifest.json"),
            ("reports/evidence.json", "manifest.json"),
            ("./reports/evidence.json", "a/../b/manifest.json"),
        ] {
            let named = relative(Path::new(report), Path::new(manifest));
            assert!(Path::new(&named).is_relative(), "{report} {manifest}: {named}");
            let found = Path::new(manifest).parent().expect("a folder").join(&named);
            assert_eq!(plain(&found), plain(Path::new(report)), "{report} {manifest}: {named}");
        }
        let absolute = std::path::absolute("build/manifest.json").expect("a folder");
        assert_eq!(relative(Path::new("reports/evidence.json"), &absolute), "../reports/evidence.json");
        assert_eq!(relative(Path::new("/elsewhere/e.json"), Path::new("build/manifest.json")), "/elsewhere/e.json");
    }
}
