//! A kernel parameter, as /proc/sys shows it.

use super::{QuestionKind, SeenProperty, quote};
use crate::frames::AnswerFrame;
use assay_suite::Check;

/// See the file.
pub(super) const KIND: QuestionKind =
    QuestionKind { shell: &[include_str!("kernel_param.sh")], ask, observe: kernel_param, slow: false };

fn ask(check: &Check) -> String {
    format!("ask_kernel_param {}", quote(&format!("/proc/sys/{}", check.subject().replace('.', "/"))))
}

/// The file's text without white space around it (sysctl.Get of the library that goss uses).
fn kernel_param(_: &Check, _: &str, frame: &AnswerFrame) -> SeenProperty {
    match frame.word('x') {
        Some("1") => match frame.whole('o', &[0]) {
            Ok(text) => SeenProperty::Value(text.trim().into()),
            Err(why) => SeenProperty::unknown(format!(
                "it cannot be read ({why}): this user may not, and sudo -n does not work (or the suite says sudo = false), or it can only be written"
            )),
        },
        Some("0") => SeenProperty::Nothing("the kernel has no such parameter".into()),
        _ => SeenProperty::unknown("the host does not show its kernel parameters in /proc/sys"),
    }
}
