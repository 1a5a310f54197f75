//! `assay status`: what is gold, what waits, what is due, and where the cloud disagrees with the lock.

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::{
    args::GlobalOptions,
    dispatch,
    live::{self, OnInterrupt},
    option_flags::AccessFlags,
    output, plan,
};
use crate::manager::{
    plan::reason_words,
    status::{self, ImageStatus, RegistryStatus, StatusDrift},
};
use assay_config::{
    CheckInput, ConfigProblem, EntryPoint,
    check::check_access,
    image_requests::{PlanRequest, StatusRequest},
    request::OutputFormat,
    whole,
};
use assay_ledger::environment_of_process;
use assay_model::{ImageName, Region, exit::ExitStatus};

/// Show what is gold, what waits, what is due, and where the cloud disagrees with the lock
///
/// Ends with 0 where they agree, with 2 where they differ, and with 3 where a region did not answer. What is missing, public or planted is only said,
/// with the cure: --repair writes tags, protection, deprecation, launch permissions and SSM parameters, as the lock and assay.hcl of the protected branch
/// ask for; it launches, deletes and promotes nothing.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Only these images; default: all of assay.hcl
    #[arg(long = "image", value_name = "NAME", num_args = 1..)]
    images: Vec<ImageName>,
    /// Only these regions; default: all that lock and assay.hcl name
    #[arg(long = "region", value_name = "REGION", num_args = 1..)]
    regions: Vec<Region>,
    /// Mend what can be mended, and look again
    #[arg(long)]
    repair: bool,
    /// Do not ask the git remote: only what this repository knows counts
    #[arg(long, conflicts_with = "repair")]
    no_fetch: bool,
    #[command(flatten)]
    access: AccessFlags,
}

/// Checks the flags together with assay.hcl. Fails with every mistake.
pub fn plan(args: &StatusArgs, globals: &GlobalOptions) -> Result<(StatusRequest, OutputFormat), Vec<ConfigProblem>> {
    let working_dir = dispatch::working_dir()?;
    let file = whole::read(globals.config.as_deref(), &working_dir)?;
    let given = args.access.given();
    let mut problems = given.problems.clone();
    whole::check_names(&file, "--image", &args.images, &mut problems);
    whole::check_regions("--region", &args.regions, &mut problems);
    let input = CheckInput {
        flags: given.layer.clone(),
        config_file: globals.config.clone(),
        ..CheckInput::new(EntryPoint::Command, &working_dir)
    };
    let (access, owner, errors) = check_access(&input);
    problems.extend(errors);
    let format = globals.plain_format().map_err(|wrong| problems.push(wrong)).unwrap_or_default();
    if !problems.is_empty() {
        return Err(problems);
    }
    let images = args.images.clone();
    let plan = PlanRequest { file, images, force: Vec::new(), max_age: None, fetch: !args.no_fetch };
    Ok((StatusRequest { plan, regions: args.regions.clone(), access, owner, repair: args.repair }, format))
}

/// Looks, mends with --repair, and prints.
pub fn execute((request, format): (StatusRequest, OutputFormat)) -> ExitStatus {
    let on_interrupt = if request.repair { OnInterrupt::Finish } else { OnInterrupt::End };
    live::run(format, on_interrupt, async move |events, _cancel| {
        match status::status(&request, &environment_of_process(), &events).await {
            Ok(status) => shown(&status, format),
            Err(error) => plan::refused(&error),
        }
    })
}

fn shown(status: &RegistryStatus, format: OutputFormat) -> ExitStatus {
    status.notes.iter().for_each(|note| output::warning(note));
    for unknown in &status.unknown {
        output::error(&format!("{}: cannot be told: {}", unknown.region, unknown.message));
    }
    for image in &status.unread {
        output::error(&format!("image {image}: its lock cannot be read, so nothing of it was compared with the cloud"));
    }
    for failed in status.mended.iter().flat_map(|mended| &mended.failed) {
        output::error(&format!("not mended: {failed}"));
    }
    match format {
        OutputFormat::Text => output::result(&text(status, Timestamp::now()), status.exit()),
        _ => output::json(&json(status), format, status.exit()),
    }
}

fn text(status: &RegistryStatus, now: Timestamp) -> String {
    let mut lines = Vec::new();
    for image in &status.images {
        lines.push(image.decision.image.to_string());
        lines.extend(image_lines(image, now).into_iter().map(|(head, tail)| format!("  {head:<9}  {tail}")));
        for drift in status.drift.iter().filter(|drift| drift.image == image.decision.image) {
            lines.push(format!("  {:<9}  {}: {}", "drift", drift.place(), drift.finding));
            lines.extend(drift.cure().map(|cure| format!("  {:<9}    cure: {cure}", "")));
        }
    }
    lines.push(sum(status));
    lines.join("\n") + "\n"
}

/// The last line.
fn sum(status: &RegistryStatus) -> String {
    let mended = match &status.mended {
        Some(mended) if !mended.done.is_empty() => format!("{} mended; ", mended.done.len()),
        _ => String::new(),
    };
    let unknown =
        if status.unknown.is_empty() && status.unread.is_empty() { "" } else { ", as far as could be looked at" };
    let count = status.drift.len();
    let mendable = status.drift.iter().filter(|drift| drift.finding.is_mendable()).count();
    match (count, mendable, &status.mended) {
        (0, _, _) => format!("{mended}no drift{unknown}"),
        (_, 1.., None) => format!("{count} differ{unknown}; `assay status --repair` mends {mendable}"),
        _ => format!("{mended}{count} differ{unknown}"),
    }
}

fn image_lines(image: &ImageStatus, now: Timestamp) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    match &image.gold {
        Some(gold) => {
            let age = gold.tested_at.map_or(String::new(), |at| format!(", built {} ago", age(at, now)));
            let since = gold.since.map_or(String::new(), |at| format!(", gold since {}", at.strftime("%Y-%m-%d")));
            lines.push(("gold", format!("{}{age}{since}", gold.run)));
            for record in &gold.amis {
                lines.push(("", format!("{} {} {}", record.ami.region, record.architecture, record.ami.id)));
            }
        }
        None => lines.push(("gold", "none".to_owned())),
    }
    for (run, state, tested_at) in &image.builds {
        lines.push((state.as_str(), format!("{run}, built {} ago", age(*tested_at, now))));
    }
    if let Some((parent, current)) = &image.parent {
        let words = match current {
            Some(true) => "gold stands on its gold",
            Some(false) => "gold stands on an older one",
            None => "gold on gold: not known",
        };
        lines.push(("parent", format!("{parent}: {words}")));
    }
    let due = if image.decision.due { "due" } else { "not due" };
    let why: Vec<String> = image.decision.reasons.iter().map(ToString::to_string).collect();
    lines.push(("plan", format!("{due}: {}", why.join("; "))));
    lines
}

fn age(at: Timestamp, now: Timestamp) -> String {
    reason_words(std::time::Duration::try_from(now.duration_since(at)).unwrap_or_default())
}

fn json(status: &RegistryStatus) -> Json {
    let images: Vec<Json> = status.images.iter().map(|image| image_json(image, &status.drift)).collect();
    json!({
        "images": images,
        "drift": status.drift.len(),
        "unknown": status.unknown.iter().map(|u| json!({ "region": u.region, "message": u.message })).collect::<Vec<_>>(),
        "unread": status.unread,
        "repaired": status.mended.as_ref().map(|mended| &mended.done),
        "failed": status.mended.as_ref().map(|mended| &mended.failed),
    })
}

fn image_json(image: &ImageStatus, drift: &[StatusDrift]) -> Json {
    let gold = image.gold.as_ref().map(|gold| {
        let amis: Vec<Json> = gold
            .amis
            .iter()
            .map(|record| json!({ "ami": record.ami, "architecture": record.architecture, "name": record.name }))
            .collect();
        json!({ "run": gold.run, "since": gold.since, "tested_at": gold.tested_at, "amis": amis })
    });
    let builds: Vec<Json> =
        image.builds.iter().map(|(run, state, at)| json!({ "run": run, "state": state, "tested_at": at })).collect();
    let parent = image.parent.as_ref().map(|(parent, current)| json!({ "image": parent, "current": current }));
    let ours = drift.iter().filter(|drift| drift.image == image.decision.image);
    json!({
        "image": image.decision.image,
        "gold": gold,
        "builds": builds,
        "parent": parent,
        "plan": plan::json(&image.decision),
        "drift": ours.map(drift_json).collect::<Vec<_>>(),
    })
}

fn drift_json(drift: &StatusDrift) -> Json {
    json!({
        "kind": drift.finding.name(),
        "run": drift.run,
        "ami": drift.ami,
        "region": drift.region,
        "message": drift.finding.to_string(),
        "repairable": drift.finding.is_mendable(),
        "cure": drift.cure(),
    })
}
