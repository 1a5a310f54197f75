//! Whether cloud-init has finished, and what went wrong in it.

use serde_json::Value;

use super::{QuestionKind, SeenProperty};
use crate::frames::AnswerFrame;
use assay_suite::Check;

/// The functions that wait for it and ask about it.
pub(crate) const SHELL: &str = include_str!("cloud_init.sh");
/// See the file.
pub(super) const KIND: QuestionKind = QuestionKind { shell: &[SHELL], ask, observe: cloud_init, slow: false };

fn ask(_: &Check) -> String {
    "ask_cloud_init".to_owned()
}

/// cloud-init's result.json: `{"v1": {"datasource": …, "errors": […]}}`.
fn cloud_init(_: &Check, property: &str, frame: &AnswerFrame) -> SeenProperty {
    match frame.word('x') {
        Some("1") if property == "finished" => SeenProperty::Value(true.into()),
        Some("0") if property == "finished" => SeenProperty::Value(false.into()),
        Some("1") => {
            let bytes = frame.bytes('o').unwrap_or_default();
            match serde_json::from_slice::<Value>(bytes).ok().and_then(|v| v.pointer("/v1/errors").cloned()) {
                Some(Value::Array(errors)) => SeenProperty::Value(
                    errors.iter().map(|e| e.as_str().map_or_else(|| e.to_string(), str::to_owned)).collect(),
                ),
                _ => SeenProperty::unknown("/run/cloud-init/result.json does not list errors"),
            }
        }
        Some("0") => SeenProperty::Nothing("cloud-init has not finished".into()),
        Some("absent") => SeenProperty::Nothing("there is no cloud-init on this host".into()),
        Some("disabled") => SeenProperty::Nothing("cloud-init is disabled on this host".into()),
        _ => SeenProperty::unknown("the state of cloud-init is missing"),
    }
}
