//! The settings for what is written: tags, manifest, reports.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::checker::OptionChecker;
use crate::settings::OnFailure;
use assay_model::tags::PREFIX;

/// EC2 allows 50 tags on a resource (AWS General Reference, tagging limits); the rest are assay's.
const MOST_TAGS: usize = 40;

/// The default output of Packer's manifest post-processor.
const PACKERS_MANIFEST: &str = "packer-manifest.json";

pub(super) struct ResultOptions {
    pub(super) tags: BTreeMap<String, String>,
    pub(super) manifest: Option<PathBuf>,
    pub(super) custom_data: BTreeMap<String, String>,
    pub(super) report_dir: Option<PathBuf>,
    pub(super) on_failure: OnFailure,
    pub(super) owner: Option<String>,
}

pub(super) fn settings(checker: &mut OptionChecker<'_>) -> ResultOptions {
    for input in checker.list("inputs") {
        if input.trim().is_empty() {
            checker.wrong("inputs", "holds an empty path");
        }
    }
    let (manifest, report_dir) = places(checker);
    ResultOptions {
        tags: tags(checker, "tags"),
        manifest,
        custom_data: checker.map("custom_data"),
        report_dir,
        on_failure: checker.parsed("on_failure", on_failure).unwrap_or_default(),
        owner: owner_setting(checker),
    }
}

pub(super) fn owner_setting(checker: &mut OptionChecker<'_>) -> Option<String> {
    checker.parsed("owner", owner)
}

/// Tags of the user's that EC2 will take and that are not ours to give.
pub(super) fn tags(checker: &mut OptionChecker<'_>, name: &str) -> BTreeMap<String, String> {
    let tags = checker.map(name);
    if tags.len() > MOST_TAGS {
        checker.wrong(name, format!("holds {} tags; at most {MOST_TAGS} leave room for assay's own", tags.len()));
    }
    for (key, value) in &tags {
        let lower = key.to_ascii_lowercase();
        for (prefix, whose) in [(PREFIX, "assay"), ("aws:", "AWS")] {
            if lower.starts_with(prefix) {
                checker.wrong(name, format!("the key {key:?} begins with {prefix:?}, which is {whose}'s alone"));
            }
        }
        if !(1..=128).contains(&key.chars().count()) {
            checker.wrong(name, format!("the key {key:?} has {} characters; expected 1 to 128", key.chars().count()));
        }
        if value.chars().count() > 256 {
            let length = value.chars().count();
            checker.wrong(name, format!("the value of {key:?} has {length} characters; at most 256 are allowed"));
        }
    }
    tags
}

fn on_failure(text: &str) -> Result<OnFailure, String> {
    match text {
        "quarantine" => Ok(OnFailure::Quarantine),
        "destroy" => Ok(OnFailure::Destroy),
        _ => Err(format!("{text:?} is not known; expected \"quarantine\" or \"destroy\"")),
    }
}

fn owner(text: &str) -> Result<String, String> {
    if text.chars().count() <= 256 && !text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not an owner; expected one like \"github.com/acme/images\", at most 256 characters"))
    }
}

/// Manifest and report folder, neither in the way of the other or of what is there.
fn places(checker: &mut OptionChecker<'_>) -> (Option<PathBuf>, Option<PathBuf>) {
    let manifest = checker.path("manifest");
    let report_dir = checker.path("report_dir");
    if let Some(path) = &manifest {
        if checker.on_disk(path).is_dir() {
            checker.wrong("manifest", format!("{} is a folder; expected a file", path.display()));
        }
        if path.file_name().is_some_and(|name| name == PACKERS_MANIFEST) {
            let message = format!(
                "{} is where Packer's own manifest post-processor writes by default, and it drops what others wrote; expected another name, like \"build/manifest.json\"",
                path.display()
            );
            checker.wrong("manifest", message);
        }
        no_file_above(checker, "manifest", path);
    }
    if let Some(path) = &report_dir {
        if checker.on_disk(path).is_file() {
            checker.wrong("report_dir", format!("{} is a file; expected a folder", path.display()));
        }
        no_file_above(checker, "report_dir", path);
    }
    if let (Some(manifest), Some(report_dir)) = (&manifest, &report_dir) {
        let (file, folder) = (checker.on_disk(manifest), checker.on_disk(report_dir));
        if folder.starts_with(&file) {
            checker.wrong("manifest", format!("{} is the report folder, or a folder above it", manifest.display()));
        }
        let ours = ["junit.xml", "evidence.json", "report.txt"];
        if ours.iter().any(|name| folder.join(name) == file) {
            checker.wrong("manifest", format!("{} is the place of a report", manifest.display()));
        }
    }
    (manifest, report_dir)
}

fn no_file_above(checker: &mut OptionChecker<'_>, name: &str, path: &Path) {
    let on_disk = checker.on_disk(path);
    if let Some(file) = on_disk.ancestors().skip(1).find(|folder| folder.is_file()) {
        let file = file.strip_prefix(checker.working_dir).unwrap_or(file);
        let message = format!("{} cannot be made: {} is a file", path.display(), file.display());
        checker.wrong(name, message);
    }
}
