//! What a run found, on stdout: the text report, or the evidence as JSON. It owns which of them goes there; `report` renders.

use super::output;
use crate::{
    config::request::Format,
    exit::Exit,
    report::{self, Style},
    run::Finished,
};

/// Prints the result and returns the run's exit code.
pub fn shown(finished: &Finished, format: Format) -> Exit {
    for problem in &finished.problems {
        output::error(problem);
    }
    let exit = finished.exit();
    match format {
        Format::Text => output::result(&text(finished), exit),
        Format::Json => rendered(report::json::pretty(&finished.evidence), exit),
        Format::Jsonl => rendered(report::json::result_line(&finished.evidence).map(|line| line + "\n"), exit),
    }
}

fn text(finished: &Finished) -> String {
    let style = Style { color: anstream::stdout().current_choice() != anstream::ColorChoice::Never, width: None };
    let mut text = report::text::render(&finished.evidence, style);
    for stamped in &finished.stamped {
        if let Some(state) = stamped.state {
            text.push_str(&format!("{}: assay:state = {state}\n", stamped.ami));
        }
    }
    let paths = finished.reports.iter().flat_map(|r| [&r.evidence, &r.junit, &r.text]).chain(&finished.manifest);
    for path in paths {
        text.push_str(&format!("written: {}\n", path.display()));
    }
    text
}

fn rendered(text: Result<String, serde_json::Error>, exit: Exit) -> Exit {
    match text {
        Ok(text) => output::result(&text, exit),
        Err(error) => {
            output::chain(&error);
            Exit::Undecided
        }
    }
}
