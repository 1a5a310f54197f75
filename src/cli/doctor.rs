//! `assay doctor`: what stands in the way of a run, each with its cure.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use clap::{Args, builder::styling::AnsiColor};
use serde_json::json;

use super::{
    args::{GlobalOptions, VarFlags},
    dispatch,
    lint::{self, LintArgs},
    live::{self, OnInterrupt},
    option_flags::{AccessFlags, problem},
    output,
};
use crate::manager::doctor::{self, DoctorFinding, FindingLevel};
use assay_config::{
    CheckInput, ConfigFile, ConfigProblem, EntryPoint, OptionLayer, ProberSettings, ValuePlace, check,
    check::check_access,
    doctor::{DoctorRequest, LaunchPlace, LaunchPlaces, places},
    file, options,
    request::OutputFormat,
    suites,
};
use assay_iam::IamRole;
use assay_model::{ImageName, Region, escape::escape_line, exit::ExitStatus};

/// Look whether a run has what it needs: credentials, rights, networks, quota, git, Packer, the prober's confinement
///
/// Nothing is made and nothing is pushed. Rights are asked of EC2 by dry run, as far as it can be asked without a thing to do it to.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Only what this role needs: builder, tester, promoter or sweeper
    #[arg(long)]
    role: Option<IamRole>,
    /// Only what a CI job has and may: service and project, OIDC token, git, push; its role where it has one. Seconds; for the first run, and before a build
    #[arg(long)]
    ci: bool,
    /// Only for these images of assay.hcl; default: all
    #[arg(long = "image", value_name = "NAME", num_args = 1..)]
    images: Vec<ImageName>,
    /// Regions beside those of assay.hcl
    #[arg(long = "region", value_name = "REGION", num_args = 1..)]
    regions: Vec<Region>,
    #[command(flatten)]
    access: AccessFlags,
}

/// Checks the flags together with assay.hcl. Fails with what makes looking senseless; mistakes of assay.hcl are findings.
pub fn plan(args: &DoctorArgs, globals: &GlobalOptions) -> Result<DoctorRequest, Vec<ConfigProblem>> {
    plan_in(args, globals, &dispatch::working_dir()?, &|name| std::env::var(name).ok())
}

/// [`plan`] with the world given.
pub(super) fn plan_in(
    args: &DoctorArgs,
    globals: &GlobalOptions,
    folder: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<DoctorRequest, Vec<ConfigProblem>> {
    let given = args.access.given();
    let mut problems = given.problems.clone();
    let path = file::locate(globals.config.as_deref(), folder);
    let file = path.as_ref().and_then(|path| file::read(path, path, &mut Vec::new()));
    for image in &args.images {
        if file.as_ref().is_none_or(|file| file.image(image).is_none()) {
            problems.push(problem("--image", format!("assay.hcl declares no image {:?}", image.as_str())));
        }
    }
    let input = CheckInput {
        flags: given.layer.clone(),
        config_file: globals.config.clone(),
        bounds: globals.suite_bounds(),
        ..CheckInput::new(EntryPoint::Command, folder)
    };
    // What is wrong with the file's own access block is among lint's mistakes.
    let (access, _, _) = check_access(&input);
    let format = globals.plain_format().map_err(|wrong| problems.push(wrong)).unwrap_or_default();
    if !problems.is_empty() {
        return Err(problems);
    }
    let places = file.as_ref().map(|file| places(file, &args.images)).unwrap_or_default();
    let of_environment = || variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"))?.parse().ok();
    let launches = launches(&places, &args.regions, || access.region.clone().or_else(of_environment));
    let regions: BTreeSet<Region> = launches.keys().chain(&places.copies).cloned().collect();
    let git = file.as_ref().map(|file| file.git.clone()).unwrap_or_default();
    Ok(DoctorRequest {
        role: args.role,
        ci: args.ci,
        access,
        images: args.images.clone(),
        regions: regions.into_iter().collect(),
        launches,
        security_groups: places.security_groups.into_iter().collect(),
        prober: prober(file.as_ref(), args, &input),
        folder: file.as_ref().map_or_else(|| folder.to_owned(), |file| file.folder.clone()),
        branch: git.branch,
        remote: git.remote,
        mistakes: path.map(|_| mistakes(globals, folder)),
        format,
    })
}

/// Where is launched: what assay.hcl names and what is `given`; where that is nowhere, in the region that AWS's own settings name.
fn launches(
    places: &LaunchPlaces,
    given: &[Region],
    of_settings: impl Fn() -> Option<Region>,
) -> BTreeMap<Region, LaunchPlace> {
    let mut regions: BTreeSet<Region> = places.launches.keys().chain(given).cloned().collect();
    if regions.is_empty() {
        regions.extend(of_settings());
    }
    places.launches_in(&regions)
}

/// Everything that `assay lint` says.
fn mistakes(globals: &GlobalOptions, folder: &Path) -> Vec<String> {
    let files = LintArgs::of(Vec::new(), VarFlags::default());
    match lint::lint(&files, globals, folder, suites::load) {
        Ok(linted) => linted.problems.iter().map(ToString::to_string).collect(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

/// Where the first of the images is tested from.
fn prober(file: Option<&ConfigFile>, args: &DoctorArgs, input: &CheckInput<'_>) -> ProberSettings {
    let first = args.images.first().or_else(|| file?.images.first().map(|image| &image.name));
    let Some(first) = first else { return ProberSettings::default() };
    let mut flags = OptionLayer::default();
    let option = options::find("image").expect("the option `image` is declared");
    flags.give(option, &first.as_str().into(), ValuePlace::Nowhere, "image".to_owned(), &mut Vec::new());
    let checked = check(&CheckInput { entry_point: EntryPoint::Lint, flags, ..input.clone() });
    checked.settings.map(|settings| settings.prober).unwrap_or_default()
}

/// Looks, and prints a line for each thing.
pub fn execute(request: DoctorRequest) -> ExitStatus {
    let format = request.format;
    live::run(format, OnInterrupt::End, async move |events, _cancel| {
        drop(events);
        let findings = doctor::doctor(&request).await;
        let exit = doctor::exit(&findings);
        match format {
            OutputFormat::Text => output::result(&text(&findings), exit),
            _ => output::json(&json(&findings, exit), format, exit),
        }
    })
}

/// Level, what it is about, what was found; the cure below it.
fn text(findings: &[DoctorFinding]) -> String {
    let width = findings.iter().map(|finding| finding.about.len()).max().unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let style = match finding.level {
            FindingLevel::Ok => AnsiColor::Green.on_default(),
            FindingLevel::Warning | FindingLevel::Unknown => AnsiColor::Yellow.on_default(),
            FindingLevel::Error => AnsiColor::Red.on_default().bold(),
        };
        let (word, about, found) = (finding.level.as_str(), &finding.about, escape_line(&finding.found));
        text.push_str(&format!("{style}{word:7}{style:#}  {about:width$}  {found}\n"));
        if let Some(cure) = &finding.cure {
            text.push_str(&format!("{:7}  {:width$}  → {cure}\n", "", ""));
        }
    }
    text
}

fn json(findings: &[DoctorFinding], exit: ExitStatus) -> serde_json::Value {
    let findings: Vec<_> = findings
        .iter()
        .map(|finding| {
            json!({
                "about": finding.about,
                "level": finding.level.as_str(),
                "found": finding.found,
                "cure": finding.cure,
            })
        })
        .collect();
    json!({ "healthy": exit == ExitStatus::Done, "findings": findings })
}
