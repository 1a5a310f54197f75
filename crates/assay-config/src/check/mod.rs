//! From typed values to [`Settings`]: meaning, combinations, defaults, with all mistakes at once. It owns the rules; it looks at files
//! that options name and refuses network, credentials and environment.
//!
//! Packer configures more than once, at first with placeholders for what it does not know yet. Such values are never mistakes: they are
//! listed as unknown, and there are no settings until all is known.

mod access;
mod checker;
mod launch;
mod network;
mod results;
mod ssh;
mod ways;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use super::{
    file::{self, ConfigFile},
    options,
    problem::{ConfigProblem, ValuePlace},
    raw::{OptionLayer, TemplateOptions, template_layer},
    settings::{AccessSettings, Settings},
    suites::{self, SuiteLoader},
};
use assay_model::{ImageName, artifact::BUILDER_TYPES_WITHOUT_AMI};
use assay_suite::SuiteBounds;
use checker::OptionChecker;
pub use ways::{WayOptions, check_ways};

/// Who asks: what may be left out differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryPoint {
    /// A Packer template; the builder's own user is the default for logging in.
    PostProcessor,
    /// The command line; names in messages are flags.
    Command,
    /// A look at files alone: nothing is missing, since template or flags may give it.
    Lint,
}

/// Everything that is known about what the user wants.
#[derive(Debug, Clone)]
pub struct CheckInput<'a> {
    /// Who asks.
    pub entry_point: EntryPoint,
    /// The block of the template, for [`EntryPoint::PostProcessor`].
    pub template: Option<&'a TemplateOptions>,
    /// What the command line gave.
    pub flags: OptionLayer,
    /// `--config`; the option `config` of a template outweighs it.
    pub config_file: Option<PathBuf>,
    /// assay.hcl as it was read already; then it is not read again, and its own mistakes are told elsewhere.
    pub parsed: Option<&'a ConfigFile>,
    /// The folder that relative paths start from, and in which the search for assay.hcl begins; absolute.
    pub working_dir: PathBuf,
    /// Reads suites.
    pub load_suites: SuiteLoader,
    /// What suites, variables and user data may be read from, beside what the options say.
    pub bounds: SuiteBounds,
    /// Where no suites are given: take `suites { gold }` of assay.hcl's image beside `suites { candidate }`.
    pub gold: bool,
}

impl CheckInput<'_> {
    /// Nothing given yet.
    pub fn new(entry_point: EntryPoint, working_dir: impl Into<PathBuf>) -> Self {
        Self {
            entry_point,
            template: None,
            flags: OptionLayer::default(),
            config_file: None,
            parsed: None,
            working_dir: working_dir.into(),
            load_suites: suites::load,
            bounds: SuiteBounds::default(),
            gold: false,
        }
    }
}

/// The result of checking.
#[derive(Debug, Clone, Default)]
pub struct CheckedConfig {
    /// Everything, where nothing is wrong and nothing unknown.
    pub settings: Option<Settings>,
    /// Every mistake, in the order: template, assay.hcl, meaning.
    pub errors: Vec<ConfigProblem>,
    /// Options whose value Packer does not know yet. At the time of work they count as mistakes: see [`CheckedConfig::decided`].
    pub unknown: Vec<String>,
    /// What the user should know and need not mend.
    pub notes: Vec<String>,
    /// How to reach AWS, as far as it is right: an AMI can be protected even where the rest is wrong.
    pub access: AccessSettings,
}

impl CheckedConfig {
    /// The settings when nothing more will become known: what is still unknown then is a mistake.
    pub fn decided(self) -> Result<Settings, Vec<ConfigProblem>> {
        let mut errors = self.errors;
        errors.extend(self.unknown.iter().map(|name| {
            ConfigProblem::new(
                ValuePlace::Template,
                name,
                "has no value; it is empty, or Packer did not know it when assay began",
            )
        }));
        match self.settings {
            Some(settings) if errors.is_empty() => Ok(settings),
            _ => Err(errors),
        }
    }
}

/// Checks what is needed to reach AWS and nothing else. Returns the settings, `owner` and every mistake.
pub fn check_access(input: &CheckInput<'_>) -> (AccessSettings, Option<String>, Vec<ConfigProblem>) {
    let mut problems = Vec::new();
    let (file, _) = config_file(input, &input.flags, &mut problems);
    let mut checker = OptionChecker::new(input, input.flags.clone(), problems);
    if let Some(file) = file {
        checker.under(file, None);
    }
    let access = access::settings(&mut checker);
    let owner = results::owner_setting(&mut checker);
    (access, owner, checker.problems)
}

/// Checks all that is given, together.
pub fn check(input: &CheckInput<'_>) -> CheckedConfig {
    let mut problems = Vec::new();
    let mut notes = Vec::new();
    let given = match input.template {
        Some(template) => {
            refuse_builder(template, &mut problems);
            template_layer(template, &mut problems).over(input.flags.clone())
        }
        None => input.flags.clone(),
    };
    if given.given.get("keep_input_artifact").is_some_and(|keep| keep.value == serde_json::Value::Bool(false)) {
        notes.push("keep_input_artifact is always true with assay; use on_failure = \"destroy\" to let Packer delete an AMI that failed".to_owned());
    }
    let (file, lost) = config_file(input, &given, &mut problems);
    let mut checker = OptionChecker::new(input, given, problems);
    let image = image(&mut checker, file.as_ref());
    let image_due = checker.layer.has("image") || checker.entry_point == EntryPoint::PostProcessor;
    checker.more_to_come = lost || (image.is_none() && image_due && file.is_some());
    if let Some(file) = file {
        let gold =
            image.as_ref().and_then(|name| file.image(name)).filter(|_| input.gold && !checker.layer.has("suites"));
        let gold: Vec<PathBuf> = gold.map_or_else(Vec::new, |image| image.gold_suites.clone());
        checker.under(file, image.as_ref());
        checker.add_suites(&gold);
    }
    let access = access::settings(&mut checker);
    let settings = settings(&mut checker, image, access.clone());
    let unknown = std::mem::take(&mut checker.layer.unknown);
    let complete = checker.problems.is_empty() && unknown.is_empty();
    CheckedConfig { settings: settings.filter(|_| complete), errors: checker.problems, unknown, notes, access }
}

fn refuse_builder(template: &TemplateOptions, problems: &mut Vec<ConfigProblem>) {
    let Some(builder) = &template.builder_type else { return };
    if let Some((_, reason)) = BUILDER_TYPES_WITHOUT_AMI.iter().find(|(name, _)| name == builder) {
        let message = format!(
            "this build is by {builder:?}, which makes no AMI to test: {reason}; \
             put the post-processor behind an amazon builder, or limit it with `only`"
        );
        problems.push(ConfigProblem::new(ValuePlace::Nowhere, "packer_builder_type", message));
    }
}

/// The assay.hcl that counts, and whether there is one that cannot be used: its name is not known yet, or it cannot be read.
fn config_file(
    input: &CheckInput<'_>,
    given: &OptionLayer,
    problems: &mut Vec<ConfigProblem>,
) -> (Option<ConfigFile>, bool) {
    if let Some(file) = input.parsed {
        return (Some(file.clone()), false);
    }
    if given.unknown.iter().any(|name| name == "config") {
        return (None, true);
    }
    let named = given.given.get("config").and_then(|config| config.value.as_str()).map(PathBuf::from);
    let named = named.or_else(|| input.config_file.clone());
    let Some(path) = file::locate(named.as_deref(), &input.working_dir) else { return (None, false) };
    let file = file::read(&path, &file::shown(&path, &input.working_dir), problems);
    let lost = file.is_none();
    (file, lost)
}

/// The image's name, well formed and, where assay.hcl declares images, declared. On the command line it may be left out: the only image of
/// assay.hcl is meant then, and where there is no such, an AMI's own tag must say.
fn image(checker: &mut OptionChecker<'_>, file: Option<&ConfigFile>) -> Option<ImageName> {
    let images = file.map_or(&[][..], |file| &file.images);
    if let (EntryPoint::Command, false, [only]) = (checker.entry_point, checker.layer.has("image"), images) {
        return Some(only.name.clone());
    }
    let name: ImageName =
        checker.parsed("image", |text| text.parse().map_err(|error: assay_model::IdError| error.to_string()))?;
    if !images.is_empty() && !images.iter().any(|image| image.name == name) {
        let declared = images.iter().map(|image| image.name.as_str());
        let near = options::nearest(name.as_str(), declared.clone())
            .map_or(String::new(), |near| format!("; did you mean {near:?}?"));
        let path = file.map_or_else(String::new, |file| file.shown.display().to_string());
        let list = declared.collect::<Vec<_>>().join(", ");
        checker.wrong("image", format!("{path} declares no image {:?}, but {list}{near}", name.as_str()));
        return None;
    }
    Some(name)
}

fn settings(checker: &mut OptionChecker<'_>, image: Option<ImageName>, access: AccessSettings) -> Option<Settings> {
    if checker.entry_point != EntryPoint::Command {
        checker.needed("image");
    }
    let suites = checker.suites();
    let ssh = ssh::settings(checker);
    let launch = launch::settings(checker, ssh.timeout);
    let results = results::settings(checker);
    let inputs = checker.list("inputs");
    let base_dir = checker.base_dir("inputs");
    // On the command line the AMI's own tag can say it; a name that was given must be right.
    if image.is_none() && (checker.entry_point != EntryPoint::Command || checker.layer.has("image")) {
        return None;
    }
    Some(Settings {
        image,
        suites: suites?,
        bounds: checker.bounds(),
        ssh,
        launch,
        access,
        tags: results.tags,
        manifest: results.manifest,
        custom_data: results.custom_data,
        report_dir: results.report_dir,
        on_failure: results.on_failure,
        prober: ways::prober(checker),
        owner: results.owner,
        inputs,
        projections: checker.projections(&base_dir),
        build: checker.build().to_owned(),
        base_dir,
    })
}
