//! What a run found, on stdout and in the files that the user named. It owns which goes where; `report` renders.

use std::error::Error;

use super::output;
use crate::{
    report::{self, ReportStyle},
    test_run::FinishedRun,
};
use assay_config::request::{CommandOutputs, OutputFormat};
use assay_model::{cause, exit::ExitStatus};

/// Writes the files, prints the result and returns the run's exit code; a file that cannot be written is a problem of the run.
pub(super) fn shown(mut finished: FinishedRun, outputs: &CommandOutputs) -> ExitStatus {
    for (format, path) in &outputs.files {
        if let Err(error) = report::write(path, *format, &finished.evidence) {
            finished.problems.push(cause::chain(&error));
        }
    }
    let finished = &finished;
    for problem in &finished.problems {
        output::error(problem);
    }
    let exit = finished.exit();
    match outputs.stdout {
        OutputFormat::Text => output::result(&text(finished), exit),
        OutputFormat::Json => rendered(report::json::pretty(&finished.evidence), exit),
        OutputFormat::Junit | OutputFormat::Tap => rendered(report::rendered(outputs.stdout, &finished.evidence), exit),
        OutputFormat::Jsonl => rendered(report::json::result_line(&finished.evidence).map(|line| line + "\n"), exit),
    }
}

fn text(finished: &FinishedRun) -> String {
    let style = ReportStyle { color: anstream::stdout().current_choice() != anstream::ColorChoice::Never, width: None };
    let mut text = report::text::render(&finished.evidence, style);
    for stamped in &finished.stamped {
        if let Some(state) = stamped.state {
            text.push_str(&format!("{}: assay:state = {state}\n", stamped.ami));
        }
    }
    let paths = finished.reports.iter().flat_map(|r| [&r.evidence, &r.junit, &r.text]);
    let paths = paths.chain(&finished.signature).chain(&finished.manifest);
    for path in paths {
        text.push_str(&format!("written: {}\n", path.display()));
    }
    text
}

fn rendered<E: Error>(text: Result<String, E>, exit: ExitStatus) -> ExitStatus {
    match text {
        Ok(text) => output::result(&text, exit),
        Err(error) => {
            output::chain(&error);
            ExitStatus::Undecided
        }
    }
}
