//! What the post-processor tells `assay build` when Packer is in between: one JSON line a run, appended to the file that `ASSAY_OUTCOMES` names. It owns
//! that line; an exit code of Packer says only that something went wrong, not whether an image failed its test.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

use assay_model::{AmiRef, Evidence, ImageName, RunId, Verdict};

/// The variable that names the file.
pub(crate) const VARIABLE: &str = "ASSAY_OUTCOMES";

/// How one run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunOutcome {
    /// The image line, where it was known.
    pub image: Option<ImageName>,
    /// The run.
    pub run: RunId,
    /// Over all of its targets.
    pub verdict: Verdict,
    /// The AMIs that were tested, each once.
    pub amis: Vec<AmiRef>,
}

impl RunOutcome {
    /// What evidence amounts to.
    pub(crate) fn of(evidence: &Evidence) -> Self {
        let mut amis: Vec<AmiRef> =
            evidence.targets.iter().filter_map(|target| target.ami.as_ref()).map(|record| record.ami.clone()).collect();
        amis.sort();
        amis.dedup();
        Self { image: evidence.image.clone(), run: evidence.run, verdict: evidence.verdict, amis }
    }
}

/// Appends a line to `file`. One write: the post-processors of parallel builds append to the same file.
pub(crate) fn append(file: &Path, outcome: &RunOutcome) -> io::Result<()> {
    let line = serde_json::to_string(outcome)? + "\n";
    OpenOptions::new().create(true).append(true).open(file)?.write_all(line.as_bytes())
}

/// Every line of `file`, in the order of writing; none where there is no file. Fails on a line that is none of ours.
pub(crate) fn read(file: &Path) -> io::Result<Vec<RunOutcome>> {
    let text = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    text.lines().map(|line| serde_json::from_str(line).map_err(io::Error::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_survive_their_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("outcomes");
        assert_eq!(read(&file).expect("no file is no outcome"), []);
        let outcome = RunOutcome {
            image: Some("base".parse().expect("a name")),
            run: RunId::generate(),
            verdict: Verdict::Failed,
            amis: vec!["us-east-1:ami-0abcdef1234567890".parse().expect("an AMI")],
        };
        append(&file, &outcome).expect("written");
        append(&file, &outcome).expect("written");
        assert_eq!(read(&file).expect("read"), [outcome.clone(), outcome]);
        std::fs::write(&file, "no JSON\n").expect("written");
        assert!(read(&file).is_err());
    }
}
