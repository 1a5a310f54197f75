//! A command line: run by `sh -c` with its own input, output and error, bounded in time and size.

use super::{OUTPUT_KEPT, QuestionKind, SeenProperty, kept, quote, wants};
use crate::frames::AnswerFrame;
use assay_suite::Check;

/// See the file.
pub(super) const KIND: QuestionKind =
    QuestionKind { shell: &[include_str!("command.sh")], ask, observe: command, slow: true };

fn ask(check: &Check) -> String {
    let letter = |name, letter| if wants(check, name) { letter } else { "" };
    let wanted = [letter("stdout", "o"), letter("stderr", "e")].concat();
    format!("ask_command {} {} '{wanted}'", quote(check.subject()), OUTPUT_KEPT + 1)
}

fn command(check: &Check, property: &str, frame: &AnswerFrame) -> SeenProperty {
    let Some(status) = frame.word('s').and_then(|s| s.parse::<i64>().ok()) else {
        return SeenProperty::unknown("the command's exit status is missing");
    };
    // What other shells call 128 and the signal is 256 and the signal to ksh93.
    let status = if status > 256 { status - 128 } else { status };
    // The command's own status cannot tell a time-out apart from a command that exits with 124, 137 or 143: the time
    // can, where the host has a clock to read.
    let timed_out = match frame.elapsed {
        Some(elapsed) => elapsed >= check.timeout,
        None => matches!(status, 124 | 137 | 143),
    };
    if timed_out {
        return SeenProperty::unknown(format!(
            "it took longer than its timeout of {} (or a process that it started still holds its output)",
            seconds(check.timeout)
        ));
    }
    match property {
        "exit-status" => SeenProperty::Value(status.into()),
        "stdout" => kept(frame, 'o', OUTPUT_KEPT),
        _ => kept(frame, 'e', OUTPUT_KEPT),
    }
}

fn seconds(time: std::time::Duration) -> String {
    format!("{} s", time.as_secs_f64())
}
