//! One report as one file, in a format of the user's choice. It owns that the file is whole or as it was before.

use std::path::Path;

use super::{
    ReportError, ReportStyle, aside,
    json::{self, pretty},
    junit, tap, text,
};
use assay_config::request::OutputFormat;
use assay_model::Evidence;

/// Writes `evidence` to `path` in `format`, aside and renamed; its folder is made where there is none. As [`OutputFormat::Jsonl`]: one line per
/// property, and the whole as the last line. Fails where the file cannot be written or the format cannot hold it.
pub(crate) fn write(path: &Path, format: OutputFormat, evidence: &Evidence) -> Result<(), ReportError> {
    let text = rendered(format, evidence)?;
    aside::write(path, text.as_bytes()).map_err(|source| ReportError::Io { path: path.to_owned(), source })
}

/// `evidence` in `format`, with a line end.
pub(crate) fn rendered(format: OutputFormat, evidence: &Evidence) -> Result<String, ReportError> {
    Ok(match format {
        OutputFormat::Text => text::render(evidence, ReportStyle { color: false, width: None }),
        OutputFormat::Json => pretty(evidence)?,
        OutputFormat::Jsonl => lines(evidence)?,
        OutputFormat::Junit => junit::render(evidence)?,
        OutputFormat::Tap => tap::render(evidence),
    })
}

fn lines(evidence: &Evidence) -> Result<String, serde_json::Error> {
    let mut text = String::new();
    for target in &evidence.targets {
        for check in &target.checks {
            let event = serde_json::json!({ "event": "check", "target": target.target, "check": check });
            text.push_str(&json::line(&event)?);
            text.push('\n');
        }
    }
    Ok(text + &json::result_line(evidence)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_model::escape::is_harmless;
    use assay_model::sample;

    #[test]
    fn every_format_goes_to_a_file_without_a_dangerous_character() {
        let folder = tempfile::tempdir().expect("a folder");
        for format in
            [OutputFormat::Text, OutputFormat::Json, OutputFormat::Jsonl, OutputFormat::Junit, OutputFormat::Tap]
        {
            let path = folder.path().join(format!("new/{format:?}"));
            write(&path, format, &sample::evidence()).expect("written");
            let text = std::fs::read_to_string(&path).expect("read");
            assert!(text.contains("us-east-1:ami-0abcdef1234567890"), "{format:?}");
            assert!(text.ends_with('\n') && text.chars().all(|c| c == '\n' || is_harmless(c)), "{format:?}");
        }
        let lines = rendered(OutputFormat::Jsonl, &sample::evidence()).expect("lines");
        for line in lines.lines() {
            serde_json::from_str::<serde_json::Value>(line).expect("each line is JSON");
        }
        assert_eq!(lines.lines().count(), sample::evidence().targets.iter().map(|t| t.checks.len()).sum::<usize>() + 1);
    }
}
