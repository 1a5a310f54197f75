//! `assay build`: what is due, built by Packer.

use std::{ffi::OsString, io::IsTerminal as _, path::PathBuf};

use clap::Args;
use serde_json::{Value as Json, json};

use super::{
    args::{ColorChoice, GlobalOptions},
    dispatch,
    live::{self, OnInterrupt},
    output, plan,
    plan::PlanFlags,
};
use crate::manager::build::{self, BuildError, BuildReport, ImageBuilt, ImageEnd, PackerStep};
use assay_config::{ConfigProblem, image_requests::BuildRequest, request::OutputFormat};
use assay_ledger::environment_of_process;
use assay_model::exit::ExitStatus;

/// Build the images that are due, with Packer, one after the other
///
/// Plans as `assay plan` does, then runs `packer init` and `packer build` for each due image as its build block in assay.hcl says, in the folder of
/// assay.hcl. Packer's output passes through. An interrupt is handed on to Packer, and its end is waited for; a second one keeps Packer from cleaning up. Nothing due ends with 0 at once; an
/// image that failed its test with 2; one without a verdict with 3; a Packer that failed otherwise with 1. The other images are built all the same.
#[derive(Debug, Args)]
pub struct BuildArgs {
    #[command(flatten)]
    flags: PlanFlags,
    /// Only show what would be run
    #[arg(long)]
    dry_run: bool,
    /// The Packer to run
    #[arg(long, value_name = "PROGRAM", default_value = "packer")]
    packer: PathBuf,
    /// More arguments for `packer build`
    #[arg(last = true, value_name = "PACKER ARGUMENTS")]
    packer_arguments: Vec<OsString>,
}

/// What to do, and with which program.
pub struct BuildOrder {
    request: BuildRequest,
    packer: PathBuf,
}

/// Checks the flags together with assay.hcl. Fails with every mistake.
pub fn plan(args: &BuildArgs, globals: &GlobalOptions) -> Result<BuildOrder, Vec<ConfigProblem>> {
    let working_dir = dispatch::working_dir()?;
    let mut problems = Vec::new();
    let plan = args.flags.request(globals, &working_dir, &mut problems);
    let format = globals.plain_format().map_err(|wrong| problems.push(wrong)).unwrap_or_default();
    let Some(plan) = plan.filter(|_| problems.is_empty()) else { return Err(problems) };
    let color = match globals.color {
        ColorChoice::Always => Some(true),
        ColorChoice::Never => Some(false),
        // Packer colours whatever its output is.
        ColorChoice::Auto if format != OutputFormat::Text || !std::io::stdout().is_terminal() => Some(false),
        ColorChoice::Auto => None,
    };
    // A program in a folder is named from where the user stands, not from the folder of assay.hcl.
    let named = args.packer.components().count() > 1;
    let packer = if named { working_dir.join(&args.packer) } else { args.packer.clone() };
    let packer_arguments = args.packer_arguments.clone();
    let request = BuildRequest { plan, dry_run: args.dry_run, packer_arguments, color, format };
    Ok(BuildOrder { request, packer })
}

/// What a first interrupt does.
const ON_INTERRUPT: OnInterrupt =
    OnInterrupt::Cancel("cancelled; waiting for Packer to clean up, a second interrupt keeps it from that");

/// Builds, and prints a line for each image.
pub fn execute(order: BuildOrder) -> ExitStatus {
    let format = order.request.format;
    live::run(format, ON_INTERRUPT, async move |events, cancel| {
        let environment = environment_of_process();
        let to_stderr = format != OutputFormat::Text;
        match build::build(&order.request, order.packer, to_stderr, &environment, &events, &cancel).await {
            Ok(built) => shown(&built, format),
            Err(BuildError::Plan(error)) => plan::refused(&error),
            Err(error) => {
                output::chain(&error);
                error.exit()
            }
        }
    })
}

fn shown(built: &BuildReport, format: OutputFormat) -> ExitStatus {
    built.notes.iter().for_each(|note| output::warning(note));
    for image in built.images.iter().filter(|image| image.end == ImageEnd::Untested) {
        output::warning(&format!(
            "{}: no post-processor \"assay\" told of a test; without one there is no candidate, and it stays due",
            image.decision.image
        ));
    }
    match format {
        OutputFormat::Text => output::result(&text(built), built.exit()),
        OutputFormat::Jsonl => {
            let lines: String = built.images.iter().map(|image| format!("{}\n", json(image))).collect();
            output::result(&lines, built.exit())
        }
        _ => {
            output::json(&json!({ "images": built.images.iter().map(json).collect::<Vec<_>>() }), format, built.exit())
        }
    }
}

fn text(built: &BuildReport) -> String {
    let width = built.images.iter().map(|image| image.decision.image.as_str().len()).max().unwrap_or(0);
    let mut lines: Vec<String> = built.images.iter().map(|image| line(image, width)).collect();
    if !built.images.iter().any(|image| image.decision.due) {
        lines.push("nothing is due".to_owned());
    }
    lines.join("\n") + "\n"
}

fn line(image: &ImageBuilt, width: usize) -> String {
    let name = image.decision.image.as_str();
    let amis = || {
        let amis: Vec<String> = image.amis().iter().map(ToString::to_string).collect();
        let run = image.run().map_or(String::new(), |run| format!(" {run}"));
        if amis.is_empty() { run } else { format!("{run}: {}", amis.join(", ")) }
    };
    let what = match &image.end {
        ImageEnd::NotDue => return plan::line(&image.decision, width),
        ImageEnd::NotOurs => "due, but it has no build block in assay.hcl: something else builds it".to_owned(),
        ImageEnd::Shown => {
            let calls: Vec<String> = image.steps.iter().map(|step| format!("\n  {}", step.line())).collect();
            return plan::line(&image.decision, width) + &calls.concat();
        }
        ImageEnd::Cancelled => "due, not built: cancelled".to_owned(),
        ImageEnd::Passed => format!("built, passed{}", amis()),
        ImageEnd::Untested => "built, nothing was tested".to_owned(),
        ImageEnd::Failed => format!("built, failed its test{}", amis()),
        ImageEnd::Undecided => format!("no verdict{}", amis()),
        ImageEnd::Broken(words) => format!("not built: {words}{}", amis()),
    };
    format!("{name:width$}  {what}")
}

fn json(image: &ImageBuilt) -> Json {
    let mut document = plan::json(&image.decision);
    document["end"] = json!(image.end.name());
    document["run"] = json!(image.run());
    document["amis"] = json!(image.amis());
    document["commands"] = json!(image.steps.iter().map(PackerStep::line).collect::<Vec<_>>());
    if let ImageEnd::Broken(words) = &image.end {
        document["message"] = json!(words);
    }
    document
}
