//! A goss file with everything that it includes, as one suite. It owns rendering each file, finding the files that
//! `gossfile` names, and merging (goss v0.4.9: store.go, mergeJSONData): of one check in two files the one that is read
//! later has the last word. A file that is included twice is therefore read at both places, as in goss.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Check, Suite, check,
    demand::SuiteDialect,
    diagnostic::{SourceDiagnostic, SourceText},
    glob,
    goss::{self, GossInclude},
    load::LoadContext,
    reach::ReadableFolders,
    template::{self, TemplateWorld, VarSources, VisibleEnvironment},
    tree::FileMistakes,
};
use assay_model::Digest;

/// The deepest nesting of files; goss's own limit.
const MAX_DEPTH: usize = 50;
/// The most files in one suite.
const MAX_FILES: usize = 500;
/// The most bytes of all files of one suite, rendered.
const MAX_BYTES: usize = 8 << 20;

/// Reads the goss file `path`, whose text is `text`, with all that it includes. Fails with every mistake of every file.
pub(super) fn read(path: &Path, text: &str, surroundings: &LoadContext) -> Result<Suite, Vec<SourceDiagnostic>> {
    let on_disk = surroundings.base_dir.join(path);
    let reach = Arc::new(ReadableFolders::new(&surroundings.base_dir, &on_disk, &surroundings.bounds));
    let mut reader = GossfileReader {
        base_dir: &surroundings.base_dir,
        world: Arc::new(TemplateWorld {
            vars: surroundings.vars.dict.copied(),
            env: surroundings.env.clone(),
            base_dir: surroundings.base_dir.clone(),
            reach: reach.clone(),
            read: Mutex::default(),
        }),
        reach,
        json: path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json")),
        open: Vec::new(),
        read: BTreeSet::new(),
        included: 0,
        suite: None,
        mistakes: Vec::new(),
        record: Vec::new(),
        evaluated: false,
        bytes: 0,
    };
    reader.open.extend(on_disk.canonicalize());
    reader.file(path, text);
    reader.finish(path, text, &surroundings.vars.bytes)
}

/// What the template in `text` makes, as `goss render --debug` shows it. `vars` is YAML or JSON.
pub fn rendered(text: &str, vars: &str) -> Result<String, Vec<SourceDiagnostic>> {
    let base_dir = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let path = Path::new("goss.yaml");
    let sources = VarSources { inline: Some(vars.to_owned()), ..VarSources::default() };
    let world = TemplateWorld {
        vars: template::load_vars(&sources)?.dict,
        env: VisibleEnvironment::of_process(&sources.bounds.environment),
        reach: Arc::new(ReadableFolders::new(&base_dir, &base_dir.join(path), &sources.bounds)),
        base_dir,
        read: Mutex::default(),
    };
    let told = |mistake: template::TemplateMistake| {
        SourceDiagnostic::at(&SourceText { path, text }, mistake.span, &mistake.title, "", mistake.help.as_deref())
    };
    let rendered = template::render(text, &world).map_err(|all| all.into_iter().map(told).collect::<Vec<_>>())?;
    Ok(rendered.text)
}

struct GossfileReader<'s> {
    base_dir: &'s Path,
    world: Arc<TemplateWorld>,
    reach: Arc<ReadableFolders>,
    /// The real paths of the files that are being read, the outermost first.
    open: Vec<PathBuf>,
    /// Whether the outermost file is JSON.
    json: bool,
    /// The real paths of the files that were read to their end.
    read: BTreeSet<PathBuf>,
    /// How often a file was included.
    included: usize,
    /// The outermost file's suite, with all checks read so far.
    suite: Option<Suite>,
    mistakes: Vec<SourceDiagnostic>,
    /// What the digest is made of where there is more than one plain file.
    record: Vec<u8>,
    evaluated: bool,
    bytes: usize,
}

impl GossfileReader<'_> {
    fn file(&mut self, path: &Path, text: &str) {
        let source = SourceText { path, text };
        let rendered = match template::render(text, &self.world) {
            Ok(rendered) => rendered,
            Err(mistakes) => {
                let told = mistakes
                    .iter()
                    .map(|it| SourceDiagnostic::at(&source, it.span.clone(), &it.title, "", it.help.as_deref()));
                return self.mistakes.extend(told);
            }
        };
        self.evaluated |= rendered.is_evaluated();
        self.bytes += rendered.text.len();
        for part in [path.display().to_string().as_str(), text, &rendered.text] {
            note(&mut self.record, part.as_bytes());
        }
        let mut findings = FileMistakes::of_template(source, &rendered);
        let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or("goss");
        if let Some((raw, mut includes)) = goss::read(&mut findings, stem, self.json) {
            let root = self.open.len() <= 1;
            // A root without any check of its own is still the suite that the included ones go into.
            let empty = root.then(|| Suite {
                name: raw.name.clone(),
                path: path.to_owned(),
                digest: Digest::of(text.as_bytes()),
                sudo: super::SudoChoice::Auto,
                checks: Vec::new(),
            });
            let digest = Digest::of(text.as_bytes());
            let read = check::read(&mut findings, raw, path, &digest, SuiteDialect::Goss).or(empty);
            if let Some(suite) = read {
                self.merge(suite, root);
            }
            // goss takes them by name, so that the order is the same each time.
            includes.sort_by(|a, b| a.id.cmp(&b.id));
            for include in includes.iter().filter(|include| !include.skip) {
                self.include(&mut findings, include, path);
            }
        }
        findings.list.sort_by_key(|d| (d.line, d.column));
        self.mistakes.extend(findings.list);
    }

    fn merge(&mut self, suite: Suite, root: bool) {
        let Some(whole) = &mut self.suite else {
            self.suite = Some(suite);
            return;
        };
        for mut check in suite.checks {
            // As in goss, the file that is read later has the last word: that is how files override what they include in common.
            let mine = Some(&suite.path).filter(|_| !root);
            let same = |other: &Check| other.resource == check.resource && other.id == check.id;
            if let Some(first) = whole.checks.iter_mut().find(|other| same(other)) {
                if !is_repeated(first, &check) {
                    check.path = mine.cloned();
                    *first = check;
                }
                continue;
            }
            check.path = mine.cloned();
            whole.checks.push(check);
        }
    }

    fn include(&mut self, findings: &mut FileMistakes<'_>, include: &GossInclude, from: &Path) {
        let folder = from.parent().unwrap_or(Path::new(""));
        let pattern = tidy(&folder.join(&include.pattern));
        let mut wrong = |title: String, help: Option<&str>| findings.wrong(&include.span, title, "", help);
        let found = match glob::find(self.base_dir, &pattern) {
            Ok(found) => found,
            Err(why) => return wrong(format!("gossfile {:?}: {why}", include.pattern), None),
        };
        if found.is_empty() {
            let help = format!("looked for {} from {}", pattern.display(), self.base_dir.display());
            return wrong(format!("gossfile {:?} matches no file", include.pattern), Some(&help));
        }
        for path in found {
            let admitted = match self.reach.admit(&self.base_dir.join(&path)) {
                Ok(admitted) => admitted,
                Err(why) => {
                    wrong(
                        format!("gossfile {:?}: {} cannot be included: {why}", include.pattern, path.display()),
                        None,
                    );
                    continue;
                }
            };
            let real = admitted.path;
            if self.open.contains(&real) {
                wrong(format!("gossfile {:?}: {} includes itself", include.pattern, path.display()), None);
            } else if self.open.len() >= MAX_DEPTH {
                wrong(format!("gossfile {:?}: nested more than {MAX_DEPTH} deep", include.pattern), None);
            } else if self.included >= MAX_FILES || self.bytes > MAX_BYTES {
                return wrong(format!("more than {MAX_FILES} files or 8 MiB are included"), None);
            } else {
                self.included += 1;
                match self.reach.read(&real) {
                    Ok(text) => self.nested(&path, &text, real, admitted.outside),
                    Err(why) => wrong(format!("gossfile {:?}: {}: {why}", include.pattern, path.display()), None),
                }
            }
        }
    }

    fn nested(&mut self, path: &Path, text: &str, real: PathBuf, outside: bool) {
        let before = self.mistakes.len();
        self.open.push(real.clone());
        self.file(path, text);
        if outside {
            self.mistakes[before..].iter_mut().for_each(SourceDiagnostic::hide_text);
        }
        self.open.pop();
        if !self.read.insert(real) {
            // It was read before, and its mistakes are told. Others can have come: templates change variables.
            let again = self.mistakes.split_off(before);
            let new: Vec<SourceDiagnostic> =
                again.into_iter().filter(|mistake| !self.mistakes.contains(mistake)).collect();
            self.mistakes.extend(new);
        }
    }

    fn finish(mut self, path: &Path, text: &str, vars: &[u8]) -> Result<Suite, Vec<SourceDiagnostic>> {
        let checks = self.suite.as_ref().map_or(0, |suite| suite.checks.len());
        if self.mistakes.is_empty() && checks == 0 {
            let help =
                "a suite that checks nothing can never pass; add a resource, like service: {ssh: {running: true}}";
            let title = format!("suite {:?} has no checks", path.file_stem().and_then(OsStr::to_str).unwrap_or("goss"));
            self.mistakes.push(SourceDiagnostic::at(&SourceText { path, text }, 0..0, &title, "", Some(help)));
        }
        let Some(mut suite) = self.suite.filter(|_| self.mistakes.is_empty()) else { return Err(self.mistakes) };
        if self.evaluated || self.included > 0 {
            let read = self.world.read.lock().unwrap_or_else(PoisonError::into_inner);
            for part in read.iter().flat_map(|(name, text)| [name, text]) {
                note(&mut self.record, part.as_bytes());
            }
            note(&mut self.record, vars);
            suite.digest = Digest::of(&self.record);
        }
        Ok(suite)
    }
}

/// Whether the two ask and demand the same, so that nothing is lost where one of them is made.
fn is_repeated(first: &Check, second: &Check) -> bool {
    let bare = |check: &Check| {
        let mut bare = check.clone();
        (bare.title, bare.path, bare.line) = (None, None, 0);
        bare.properties.iter_mut().for_each(|property| property.line = 0);
        bare
    };
    bare(first) == bare(second)
}

/// Adds a part to a record so that no two lists of parts make the same record.
fn note(record: &mut Vec<u8>, part: &[u8]) {
    record.extend((part.len() as u64).to_be_bytes());
    record.extend(part);
}

/// The path without `.` and without `x/..`, as it reads best in messages. Links are not looked at.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(tidy.components().next_back(), Some(Component::Normal(_))) => {
                tidy.pop();
            }
            part => tidy.push(part),
        }
    }
    tidy
}

#[cfg(test)]
#[path = "gossfile_tests.rs"]
mod tests;
