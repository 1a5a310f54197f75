//! The manifest file: Packer's own shape with an `assay` object in each build. It owns that builds which finish together lose nothing (a
//! lock, written aside, renamed) and that what others wrote into the file stays; it refuses to overwrite a file that it cannot read.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{aside, json, lock};
use assay_model::ManifestBuild;

/// Why a manifest was not written. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    /// The file or its folder.
    #[error("{path}: the manifest cannot be {verb}")]
    Io {
        /// The manifest.
        path: PathBuf,
        /// `read`, `written`, `locked`.
        verb: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// What is there is no JSON.
    #[error("{path}:{}:{}: what is there is no JSON; move it away or name another manifest. It was not touched", .source.line(), .source.column())]
    Malformed {
        /// The manifest.
        path: PathBuf,
        /// The parser's reason.
        #[source]
        source: serde_json::Error,
    },
    /// What is there is JSON, but no manifest.
    #[error(
        "{path}: what is there is no Packer manifest: {wrong}; move it away or name another manifest. It was not touched"
    )]
    Foreign {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        wrong: &'static str,
    },
    /// The entry cannot be JSON.
    #[error("the entry cannot be written as JSON")]
    Unwritable(#[source] serde_json::Error),
}

/// Adds `build` to the manifest at `path`, which is made if need be, and names its run as the last (`last_run_uuid`, Packer's meaning). An
/// entry of the same artifact and run is replaced in its place and keeps the fields that assay does not know. Blocks until the lock is
/// held, at most a minute; any number of processes may do this at once. `force`: the builds of another run than the last are dropped, as Packer's own manifest post-processor does.
pub(crate) fn append(path: &Path, build: &ManifestBuild, force: bool) -> Result<(), ManifestError> {
    let io_error = |verb| move |source| ManifestError::Io { path: path.to_owned(), verb, source };
    let folder = aside::folder_of(path);
    std::fs::create_dir_all(&folder).map_err(io_error("written"))?;
    let _lock = lock::take(&folder).map_err(io_error("locked"))?;
    let mut manifest = read(path)?;
    if force && manifest.get("last_run_uuid").and_then(Value::as_str) != Some(build.packer_run_uuid.as_str()) {
        manifest.insert("builds".to_owned(), Value::Array(Vec::new()));
    }
    let entry = serde_json::to_value(build).map_err(ManifestError::Unwritable)?;
    put(path, &mut manifest, entry)?;
    manifest.insert("last_run_uuid".to_owned(), Value::String(build.packer_run_uuid.clone()));
    let text = json::pretty(&manifest).map_err(ManifestError::Unwritable)?;
    aside::write(path, text.as_bytes()).map_err(io_error("written"))
}

/// The file as it is, unknown fields and their order included; empty where there is none.
fn read(path: &Path) -> Result<Map<String, Value>, ManifestError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(ManifestError::Io { path: path.to_owned(), verb: "read", source }),
    };
    if bytes.trim_ascii().is_empty() {
        return Ok(Map::from_iter([("builds".to_owned(), Value::Array(Vec::new()))]));
    }
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(manifest)) => Ok(manifest),
        Ok(_) => Err(ManifestError::Foreign { path: path.to_owned(), wrong: "it is no object" }),
        Err(source) => Err(ManifestError::Malformed { path: path.to_owned(), source }),
    }
}

fn put(path: &Path, manifest: &mut Map<String, Value>, entry: Value) -> Result<(), ManifestError> {
    let foreign = |wrong| ManifestError::Foreign { path: path.to_owned(), wrong };
    let builds = manifest.entry("builds").or_insert(Value::Null);
    if builds.is_null() {
        // Go writes a list without elements as null.
        *builds = Value::Array(Vec::new());
    }
    let builds = builds.as_array_mut().ok_or_else(|| foreign("builds is no list"))?;
    if builds.iter().any(|build| !build.is_object()) {
        return Err(foreign("a build is no object"));
    }
    match builds.iter_mut().find(|build| is_same(build, &entry)) {
        Some(Value::Object(known)) => {
            if let Value::Object(entry) = entry {
                known.extend(entry);
            }
        }
        _ => builds.push(entry),
    }
    Ok(())
}

/// Same artifact of the same run: by assay's run and the place of its evidence where both have one (another post-processor block has another), else by Packer's
/// run.
fn is_same(known: &Value, entry: &Value) -> bool {
    let text = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let same = |pointer: &str| {
        let value = text(entry, pointer);
        value.as_deref().is_some_and(|value| !value.is_empty()) && text(known, pointer) == value
    };
    let both_stamped = text(known, "/assay/run").is_some() && text(entry, "/assay/run").is_some();
    same("/artifact_id")
        && if both_stamped { same("/assay/run") && same("/assay/evidence") } else { same("/packer_run_uuid") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_model::{Manifest, manifest::StampedBuild};

    fn build(artifact: u32, run: &str) -> ManifestBuild {
        let run = format!("01KAQ3B6G0R8ZJ5Q2X7V9N4M{run}");
        ManifestBuild {
            name: "base".to_owned(),
            builder_type: "amazon-ebs".to_owned(),
            build_time: Some(1_795_000_000),
            files: None,
            artifact_id: format!("us-east-1:ami-{artifact:08x}"),
            packer_run_uuid: format!("uuid-{run}"),
            custom_data: None,
            assay: Some(StampedBuild {
                image: "base".parse().expect("a name"),
                run: run.parse().expect("a run"),
                state: assay_model::ImageState::Candidate,
                verdict: assay_model::Verdict::Passed,
                amis: [("us-east-1".to_owned(), format!("ami-{artifact:08x}"))].into(),
                records: Vec::new(),
                provenance: Default::default(),
                evidence: "reports/evidence.json".to_owned(),
                evidence_digest: assay_model::Digest::of(b"x"),
                tested_at: "2026-11-22T10:05:00Z".to_owned(),
                leftovers: Vec::new(),
            }),
        }
    }

    fn read_back(path: &Path) -> Manifest {
        serde_json::from_slice(&std::fs::read(path).expect("a manifest")).expect("a manifest")
    }

    #[test]
    fn thirty_two_writers_at_once_lose_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("build/manifest.json");
        std::thread::scope(|scope| {
            // Each opens the folder itself, so that flock(2) keeps them apart as it does processes.
            for writer in 0..32 {
                let path = &path;
                scope.spawn(move || {
                    for round in 0..4 {
                        append(path, &build(writer * 4 + round, "1C"), false).expect("written");
                    }
                });
            }
        });
        let mut found: Vec<String> = read_back(&path).builds.into_iter().map(|build| build.artifact_id).collect();
        found.sort();
        let due: Vec<String> = (0..128).map(|number| format!("us-east-1:ami-{number:08x}")).collect();
        assert_eq!(found, due);
        let names = std::fs::read_dir(path.parent().expect("a folder")).expect("a folder");
        assert_eq!(names.count(), 1, "nothing is left beside the manifest");
    }

    #[test]
    fn the_same_build_replaces_its_entry_and_another_run_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("manifest.json");
        for entry in [build(1, "1C"), build(2, "1C"), build(1, "1C"), build(1, "2D")] {
            append(&path, &entry, false).expect("written");
        }
        let manifest = read_back(&path);
        let ids: Vec<&str> = manifest.builds.iter().map(|build| build.artifact_id.as_str()).collect();
        assert_eq!(ids, ["us-east-1:ami-00000001", "us-east-1:ami-00000002", "us-east-1:ami-00000001"]);
        assert_eq!(manifest.last_run_uuid, "uuid-01KAQ3B6G0R8ZJ5Q2X7V9N4M2D");
    }

    #[test]
    fn a_forced_build_begins_the_manifest_anew_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("manifest.json");
        append(&path, &build(1, "1C"), false).expect("written");
        for artifact in [2, 3] {
            append(&path, &build(artifact, "2D"), true).expect("written");
        }
        let ids: Vec<String> = read_back(&path).builds.into_iter().map(|build| build.artifact_id).collect();
        assert_eq!(ids, ["us-east-1:ami-00000002", "us-east-1:ami-00000003"]);
    }

    #[test]
    fn another_block_with_other_suites_has_an_entry_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("manifest.json");
        let mut other = build(1, "1C");
        other.assay.as_mut().expect("stamped").evidence = "reports/evidence-base-x86_64.json".to_owned();
        for entry in [&build(1, "1C"), &other, &other] {
            append(&path, entry, false).expect("written");
        }
        assert_eq!(read_back(&path).builds.len(), 2);
    }

    #[test]
    fn what_packer_and_others_wrote_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("manifest.json");
        let packers = r#"{"builds":[{"name":"old","builder_type":"amazon-ebs","build_time":1,"files":null,"artifact_id":"us-east-1:ami-00000001","packer_run_uuid":"uuid-01KAQ3B6G0R8ZJ5Q2X7V9N4M1C","custom_data":{"a":"b"},"new_field":[1]},{"name":"x"}],"last_run_uuid":"u","theirs":{"z":1,"a":2}}"#;
        std::fs::write(&path, packers).expect("written");
        let mut ours = build(1, "1C");
        ours.custom_data = Some([("a".to_owned(), "c".to_owned())].into());
        append(&path, &ours, false).expect("written");
        let text = std::fs::read_to_string(&path).expect("read");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["builds"].as_array().map(Vec::len), Some(2));
        assert_eq!(value["builds"][0]["new_field"], serde_json::json!([1]));
        assert_eq!(value["builds"][0]["custom_data"]["a"], "c");
        assert_eq!(value["builds"][0]["assay"]["verdict"], "passed");
        assert_eq!(value["theirs"], serde_json::json!({"z":1,"a":2}));
    }

    #[test]
    fn the_layout() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("manifest.json");
        append(&path, &build(1, "1C"), false).expect("written");
        insta::assert_snapshot!("manifest", std::fs::read_to_string(&path).expect("read"));
    }

    #[test]
    fn what_is_no_manifest_is_not_touched() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("manifest.json");
        for (garbage, words) in [
            ("{\n  \"builds\": [\n", "manifest.json:3:0: what is there is no JSON"),
            ("[]", "it is no object"),
            ("{\"builds\": {}}", "builds is no list"),
            ("{\"builds\": [1]}", "a build is no object"),
        ] {
            std::fs::write(&path, garbage).expect("written");
            let error = append(&path, &build(1, "1C"), false).expect_err(garbage).to_string();
            assert!(error.contains(words), "{error}");
            assert_eq!(std::fs::read_to_string(&path).expect("read"), garbage);
        }
        for empty in ["", "\n", "{\"builds\": null}"] {
            std::fs::write(&path, empty).expect("written");
            append(&path, &build(1, "1C"), false).expect("an empty file is no garbage");
        }
    }
}
