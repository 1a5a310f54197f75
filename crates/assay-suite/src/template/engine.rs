//! Rendering one template: parsed, executed within bounds, its mistakes put into words.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use crate::reach::ReadableFolders;

use super::{
    RenderedText, TemplateMistake, VisibleEnvironment, dict::TemplateDict, execute, execute::ExecutionFailure, parse,
};

/// The name of the whole template; Go's own name for it in goss.
const NAME: &str = "test";
const UNNAMED: &str =
    "name it in assay.hcl, suites { env = [\"…\"] }, or on the command line with --env; see docs/templates.md";
const SECRETS: &str = "what a suite says is sent to the prober and stands in reports; see docs/templates.md";

/// What templates see.
#[derive(Debug)]
pub(crate) struct TemplateWorld {
    /// `.Vars`. What one file changes in it, the files that it includes see, as in goss.
    pub vars: TemplateDict,
    /// `.Env`.
    pub env: VisibleEnvironment,
    /// Where `readFile`'s relative paths start from.
    pub base_dir: PathBuf,
    /// Which files may be read.
    pub reach: Arc<ReadableFolders>,
    /// The files that were read, for the digest: path as it was written, and text.
    pub read: Mutex<Vec<(String, String)>>,
}

/// Renders `source`. Fails with every mistake that can be found without executing, or with the first one met there.
pub(crate) fn render(source: &str, world: &TemplateWorld) -> Result<RenderedText, Vec<TemplateMistake>> {
    if !source.contains("{{") {
        return Ok(RenderedText::plain(source));
    }
    let templates = parse::parse(source, NAME)?;
    let made = execute::execute(&templates, NAME, source, world)
        .map_err(|(span, failure)| vec![failed(span, failure, world)])?;
    Ok(RenderedText { text: made.text, pieces: made.pieces })
}

fn failed(span: std::ops::Range<usize>, failure: ExecutionFailure, world: &TemplateWorld) -> TemplateMistake {
    let (title, help) = match failure {
        ExecutionFailure::MissingKey(key) if world.env.hides(&key) => (world.env.withheld(&key), None),
        ExecutionFailure::MissingKey(key) => (
            format!("there is no entry {key:?}"),
            Some(format!(
                "give it by --vars or --vars-inline; where it may be missing: {{{{ get .Vars {key:?} | default \"…\" }}}}"
            )),
        ),
        ExecutionFailure::Other(message) => (message, None),
    };
    let help = help.or_else(|| match title {
        _ if title.contains("looks like a secret") => Some(SECRETS.to_owned()),
        _ if title.contains("is not given to templates") => Some(UNNAMED.to_owned()),
        _ => None,
    });
    TemplateMistake { span, title, help }
}
