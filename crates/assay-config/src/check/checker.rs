//! The merged values while they are being judged: typed access by option name, and mistakes that carry their place.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::Value as Json;

use super::{CheckInput, EntryPoint};
use crate::{
    file::{BuildDecl, ConfigFile},
    options,
    problem::{ConfigProblem, ValuePlace},
    raw::{GivenValue, OptionLayer},
    suites::SuiteLoader,
};
use assay_model::ImageName;
use assay_suite::{NamedBy, Suite, SuiteBounds, VarSources};

/// What [`super::check`] works with.
pub(super) struct OptionChecker<'a> {
    pub(super) working_dir: &'a Path,
    pub(super) layer: OptionLayer,
    pub(super) problems: Vec<ConfigProblem>,
    /// assay.hcl, or which image of it counts, is not known (a mistake, or a placeholder): what is missing may stand there.
    pub(super) more_to_come: bool,
    pub(super) entry_point: EntryPoint,
    file_folder: Option<PathBuf>,
    projections: Vec<String>,
    build: String,
    load_suites: SuiteLoader,
    given_bounds: SuiteBounds,
}

impl<'a> OptionChecker<'a> {
    pub(super) fn new(input: &'a CheckInput<'_>, layer: OptionLayer, problems: Vec<ConfigProblem>) -> Self {
        Self {
            working_dir: &input.working_dir,
            layer,
            problems,
            more_to_come: false,
            entry_point: input.entry_point,
            file_folder: None,
            projections: Vec::new(),
            build: String::new(),
            load_suites: input.load_suites,
            given_bounds: input.bounds.clone(),
        }
    }

    /// Puts the file's values under what is given: those of the image, then those that hold for all.
    pub(super) fn under(&mut self, file: ConfigFile, image: Option<&ImageName>) {
        let image = image.and_then(|name| file.image(name));
        let of_image = image.map(|image| image.options.clone()).unwrap_or_default();
        let projections = image.map_or(&[][..], |image| &image.projections);
        self.projections = projections.iter().map(|projection| projection.path.display().to_string()).collect();
        self.build = image.and_then(|image| image.build.as_ref()).map(BuildDecl::canonical_text).unwrap_or_default();
        self.layer = std::mem::take(&mut self.layer).over(of_image).over(file.options);
        self.file_folder = Some(file.folder);
    }

    /// Adds suites of assay.hcl to those that it gives already; paths that are there stay once.
    pub(super) fn add_suites(&mut self, paths: &[PathBuf]) {
        if paths.is_empty() {
            return;
        }
        let place = ValuePlace::File { path: PathBuf::from(crate::file::FILE_NAME), line: 1 };
        let fresh = || GivenValue { value: Json::Array(Vec::new()), place, shown: "suites.gold".to_owned() };
        let given = self.layer.given.entry("suites").or_insert_with(fresh);
        let Some(items) = given.value.as_array_mut() else { return };
        for path in paths {
            let path = Json::from(path.display().to_string());
            if !items.contains(&path) {
                items.push(path);
            }
        }
    }

    pub(super) fn given(&self, name: &str) -> Option<&GivenValue> {
        debug_assert!(options::find(name).is_some(), "{name} is not declared");
        self.layer.given.get(name)
    }

    pub(super) fn is_unknown(&self, name: &str) -> bool {
        self.layer.unknown.iter().any(|unknown| unknown == name)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.given(name)?.value.as_str().map(str::to_owned)
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.given(name)?.value.as_bool()
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let items = self.given(name).and_then(|given| given.value.as_array());
        items.into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
    }

    pub(super) fn map(&self, name: &str) -> BTreeMap<String, String> {
        let entries = self.given(name).and_then(|given| given.value.as_object());
        entries
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect()
    }

    /// A text read by `read`, whose error says what would be right.
    pub(super) fn parsed<T>(&mut self, name: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        match read(&self.text(name)?) {
            Ok(value) => Some(value),
            Err(message) => {
                self.wrong(name, message);
                None
            }
        }
    }

    /// A whole number within `least..=most`; zero counts as left out where it is not allowed, as in Packer.
    pub(super) fn whole(&mut self, name: &str, least: u32, most: u32) -> Option<u32> {
        let value = self.given(name)?.value.as_f64()?;
        if value == 0.0 && least > 0 {
            return None;
        }
        if value.fract() == 0.0 && (f64::from(least)..=f64::from(most)).contains(&value) {
            // In range and whole, so nothing is lost.
            return format!("{value:.0}").parse().ok();
        }
        self.wrong(name, format!("{value} is not a whole number from {least} to {most}"));
        None
    }

    /// Records a mistake in the value of `name`, where that value stands.
    pub(super) fn wrong(&mut self, name: &str, message: impl Into<String>) {
        let (place, shown) = match self.given(name) {
            Some(given) => (given.place.clone(), given.shown.clone()),
            None => (ValuePlace::Nowhere, name.to_owned()),
        };
        self.problems.push(ConfigProblem::new(place, shown, message));
    }

    /// Two options of which only one may be given.
    pub(super) fn only_one_of(&mut self, first: &str, second: &str) {
        if let (Some(_), Some(other)) = (self.given(first), self.given(second)) {
            let other = other.shown.clone();
            self.wrong(first, format!("cannot be given together with {other}"));
        }
    }

    /// An option that must come from somewhere.
    pub(super) fn needed(&mut self, name: &str) {
        if self.entry_point == EntryPoint::Lint || self.layer.has(name) || self.more_to_come && name != "image" {
            return;
        }
        let option = options::find(name).expect("only declared options are needed");
        let in_file = option
            .file
            .map_or(String::new(), |(section, name)| format!(", here or in assay.hcl as {}", section.place(name)));
        let shown = match (self.entry_point, option.flag) {
            (EntryPoint::Command, Some(flag)) => format!("--{flag}"),
            _ => name.to_owned(),
        };
        self.problems.push(ConfigProblem::new(
            ValuePlace::Nowhere,
            shown,
            format!("is missing; it must be given{in_file}"),
        ));
    }

    /// The folder that relative paths in the value of `name` start from.
    pub(super) fn base_dir(&self, name: &str) -> PathBuf {
        match (self.given(name).map(|given| &given.place), &self.file_folder) {
            (Some(ValuePlace::File { .. }) | None, Some(folder)) => folder.clone(),
            _ => self.working_dir.to_owned(),
        }
    }

    /// The image's projections; they stand in assay.hcl, so none where paths start from another folder.
    pub(super) fn projections(&self, base_dir: &Path) -> Vec<String> {
        if self.file_folder.as_deref() == Some(base_dir) { self.projections.clone() } else { Vec::new() }
    }

    /// The text of the image's `build` block in assay.hcl; empty where there is none.
    pub(super) fn build(&self) -> &str {
        &self.build
    }

    /// A path, as the process can open it from the working folder: as it was typed there, or joined to the folder of assay.hcl.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        let typed = PathBuf::from(self.text(name)?);
        let base = self.base_dir(name);
        let from_here = self.given(name).is_none_or(|given| !matches!(given.place, ValuePlace::File { .. }));
        if from_here || base == self.working_dir { Some(typed) } else { Some(base.join(typed)) }
    }

    /// Where a path of [`Self::path`] is on disk.
    pub(super) fn on_disk(&self, path: &Path) -> PathBuf {
        self.working_dir.join(path)
    }

    /// The suites; `None` where there is a mistake or nothing is known yet.
    pub(super) fn suites(&mut self) -> Option<Vec<Suite>> {
        let paths: Vec<PathBuf> = self.list("suites").into_iter().map(PathBuf::from).collect();
        if paths.is_empty() {
            if self.given("suites").is_some() && !self.is_unknown("suites") {
                self.wrong("suites", "is empty; name at least one suite file");
            } else {
                self.needed("suites");
            }
            return None;
        }
        if self.is_unknown("vars") || self.is_unknown("vars_inline") {
            return None;
        }
        match (self.load_suites)(&paths, &self.base_dir("suites"), &self.vars()) {
            Ok(suites) => Some(suites),
            Err(diagnostics) => {
                for diagnostic in diagnostics {
                    self.wrong("suites", diagnostic);
                }
                None
            }
        }
    }

    /// Where the variables of suites come from.
    pub(super) fn vars(&self) -> VarSources {
        VarSources {
            folder: self.base_dir("vars"),
            files: self.list("vars").into_iter().map(PathBuf::from).collect(),
            inline: self.text("vars_inline"),
            bounds: self.bounds(),
        }
    }

    /// What suites, variables and user data may be read from.
    pub(super) fn bounds(&self) -> SuiteBounds {
        SuiteBounds {
            suites: self.named_by("suites"),
            vars: self.named_by("vars"),
            environment: self.list("suite_env"),
            ..self.given_bounds.clone()
        }
    }

    /// Who named the files of an option.
    pub(super) fn named_by(&self, name: &str) -> NamedBy {
        match self.given(name).map(|given| &given.place) {
            Some(ValuePlace::Flag | ValuePlace::Template) => NamedBy::CommandLine,
            _ => NamedBy::File,
        }
    }
}
