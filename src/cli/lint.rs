//! `assay lint`: every mistake of assay.hcl and of the suites, offline.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value as Json, json};

use super::{
    args::{GlobalOptions, VarFlags},
    dispatch,
    option_flags::problem,
    output,
};
use assay_config::{
    CheckInput, ConfigProblem, EntryPoint, OptionLayer, ValuePlace, check, check::check_access, file, options,
    request::OutputFormat, suites,
};
use assay_ledger as ledger;
use assay_model::exit::ExitStatus;
use assay_suite::{SuiteBounds, VarSources};

/// Check assay.hcl and suites; prints every mistake
///
/// A suite is a file, or one that comes with assay: profile:smoke, profile:hygiene, profile:cis-lite.
#[derive(Debug, Args)]
pub struct LintArgs {
    /// Files named assay.hcl, and suites; default: the assay.hcl in the working folder or above it, with its suites
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    vars: VarFlags,
}

impl LintArgs {
    /// What another command wants checked.
    pub(super) fn of(files: Vec<PathBuf>, vars: VarFlags) -> Self {
        Self { files, vars }
    }
}

/// What was looked at and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct LintResult {
    pub(super) files: Vec<PathBuf>,
    pub(super) problems: Vec<ConfigProblem>,
    pub(super) notes: Vec<String>,
}

/// Checks and prints.
pub fn execute(args: &LintArgs, globals: &GlobalOptions, format: OutputFormat) -> ExitStatus {
    let linted = dispatch::working_dir().and_then(|folder| lint(args, globals, &folder, suites::load));
    match linted {
        Ok(linted) => print(&linted, format),
        Err(problems) => {
            problems.iter().for_each(|problem| output::error(problem));
            ExitStatus::Nothing
        }
    }
}

/// Looks at every file. Fails where there is none to look at.
pub(super) fn lint(
    args: &LintArgs,
    globals: &GlobalOptions,
    folder: &Path,
    load_suites: suites::SuiteLoader,
) -> Result<LintResult, Vec<ConfigProblem>> {
    let mut files = args.files.clone();
    if files.is_empty() {
        let found = || file::find(folder).map(|path| file::shown(&path, folder));
        files.extend(globals.config.clone().or_else(found));
    }
    if files.is_empty() {
        let message = format!("there is no {} here or above; name files to check", file::FILE_NAME);
        return Err(vec![problem("", message)]);
    }
    let mut linted = LintResult::default();
    for path in files {
        let named = args.files.is_empty() || path.file_name() == Some(file::FILE_NAME.as_ref());
        if named || globals.config.as_ref() == Some(&path) {
            config(&path, folder, globals, load_suites, &mut linted);
        } else if let Err(diagnostics) =
            load_suites(std::slice::from_ref(&path), folder, &args.vars.sources(folder, globals))
        {
            linted.problems.extend(diagnostics.into_iter().map(|text| problem("", text)));
        }
        linted.files.push(path);
    }
    match ledger::embedded_repositories(folder) {
        Ok(folders) => linted.problems.extend(folders.iter().map(|folder| embedded(folder))),
        Err(why) => linted
            .notes
            .push(format!("tracked folders that git would take for repositories were not looked for: {why}")),
    }
    Ok(linted)
}

fn embedded(folder: &str) -> ConfigProblem {
    let message = format!(
        "{folder}: git tracks HEAD, objects and refs in this folder; whoever runs git in it obeys the config file that lies there. Take them out of the repository"
    );
    problem("", message)
}

/// One assay.hcl with every image in it and the suites of each.
fn config(
    path: &Path,
    folder: &Path,
    globals: &GlobalOptions,
    load_suites: suites::SuiteLoader,
    linted: &mut LintResult,
) {
    let on_disk = folder.join(path);
    let shown = on_disk.strip_prefix(folder).unwrap_or(&on_disk);
    let Some(config) = file::read(&on_disk, shown, &mut linted.problems) else { return };
    let bounds = globals.suite_bounds();
    let input = CheckInput {
        config_file: Some(on_disk.clone()),
        parsed: Some(&config),
        load_suites,
        bounds,
        ..CheckInput::new(EntryPoint::Lint, folder)
    };
    add(linted, check_access(&input).2);
    for image in &config.images {
        let mut flags = OptionLayer::default();
        let option = options::find("image").expect("the option `image` is declared");
        flags.give(option, &image.name.as_str().into(), ValuePlace::Nowhere, "image".to_owned(), &mut linted.problems);
        add(linted, check(&CheckInput { flags, ..input.clone() }).errors);
        if image.gold_suites.is_empty() {
            continue;
        }
        if let Err(diagnostics) = load_suites(&image.gold_suites, &config.folder, &vars(image, &config.folder, globals))
        {
            let place = ValuePlace::File { path: shown.to_owned(), line: image.line };
            let of_gold = |text: String| ConfigProblem::new(place.clone(), "suites.gold", text);
            add(linted, diagnostics.into_iter().map(of_gold).collect());
        }
    }
}

/// The variables that an image's suites get.
fn vars(image: &file::ImageDecl, folder: &Path, globals: &GlobalOptions) -> VarSources {
    let given = |name: &str| image.options.given.get(name).map(|given| &given.value);
    let texts = |name: &str| given(name).and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
    VarSources {
        folder: folder.to_owned(),
        files: texts("vars").map(PathBuf::from).collect(),
        bounds: SuiteBounds { environment: texts("suite_env").map(str::to_owned).collect(), ..globals.suite_bounds() },
        inline: given("vars_inline").and_then(Json::as_str).map(str::to_owned),
    }
}

/// Each mistake once: those of the file itself come with every image.
fn add(linted: &mut LintResult, problems: Vec<ConfigProblem>) {
    for problem in problems {
        if !linted.problems.contains(&problem) {
            linted.problems.push(problem);
        }
    }
}

fn print(linted: &LintResult, format: OutputFormat) -> ExitStatus {
    let exit = if linted.problems.is_empty() { ExitStatus::Done } else { ExitStatus::Usage };
    if format != OutputFormat::Text {
        let document = json!({
            "files": linted.files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
            "errors": linted.problems.iter().map(as_json).collect::<Vec<_>>(),
        });
        return output::json(&document, format, exit);
    }
    linted.notes.iter().for_each(|note| output::warning(note));
    linted.problems.iter().for_each(|problem| output::error(problem));
    if exit == ExitStatus::Done {
        let names: String = linted.files.iter().map(|path| format!("{}: no mistakes\n", path.display())).collect();
        return output::result(&names, exit);
    }
    exit
}

fn as_json(problem: &ConfigProblem) -> Json {
    let (file, line) = match &problem.place {
        ValuePlace::File { path, line } => (Some(path.display().to_string()), Some(*line)),
        _ => (None, None),
    };
    json!({"file": file, "line": line, "option": problem.option, "message": problem.message})
}
