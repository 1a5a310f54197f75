//! systemd's failed units.

use serde_json::json;

use super::{QuestionKind, SeenProperty, complaints, first_line};
use crate::frames::AnswerFrame;
use assay_suite::Check;

/// See the file.
pub(super) const KIND: QuestionKind =
    QuestionKind { shell: &[include_str!("systemd.sh")], ask, observe: |_, _, frame| failed(frame), slow: false };

fn ask(_: &Check) -> String {
    "ask_systemd".to_owned()
}

/// What systemctl said, or why that is worth nothing.
pub(super) fn systemctl(frame: &AnswerFrame) -> Result<String, SeenProperty> {
    let output = frame.text('o').unwrap_or_default();
    match frame.word('s') {
        Some("0") => Ok(output),
        Some("none") => {
            Err(SeenProperty::unknown("the host has no systemctl; services can be asked about on systemd hosts only"))
        }
        Some(status) => {
            let said = complaints(&frame.text('e').unwrap_or_default());
            Err(SeenProperty::unknown(format!("systemctl ended with status {status}: {}", first_line(&said))))
        }
        None => Err(SeenProperty::unknown("systemctl's answer is missing")),
    }
}

/// `systemctl list-units --plain --no-legend`: the unit is each line's first word.
pub(super) fn failed(frame: &AnswerFrame) -> SeenProperty {
    match systemctl(frame) {
        Ok(output) => {
            let units: Vec<&str> =
                output.lines().filter_map(|l| l.split_whitespace().find(|w| *w != "●" && *w != "*")).collect();
            SeenProperty::Value(json!(units))
        }
        Err(unknown) => unknown,
    }
}
