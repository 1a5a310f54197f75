//! A goss file with everything that it includes, as one suite. It owns rendering each file, finding the files that
//! `gossfile` names, and merging (goss v0.4.9: store.go, mergeJSONData). It refuses what goss lets pass silently: one
//! check in two files, of which only the later would be made, unless the two say the same.
//!
//! A file is read once, however often it is included: its variables are the same everywhere, so nothing is lost.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Check, Suite, check,
    diagnostic::{Diagnostic, Source},
    glob,
    goss::{self, Include},
    load::Surroundings,
    reach::Reach,
    template::{self, World},
    tree::Findings,
};
use crate::model::Digest;

/// The deepest nesting of files; goss's own limit.
const MAX_DEPTH: usize = 50;
/// The most files in one suite.
const MAX_FILES: usize = 500;
/// The most bytes of all files of one suite, rendered.
const MAX_BYTES: usize = 8 << 20;

/// Reads the goss file `path`, whose text is `text`, with all that it includes. Fails with every mistake of every file.
pub(super) fn read(path: &Path, text: &str, surroundings: &Surroundings) -> Result<Suite, Vec<Diagnostic>> {
    let on_disk = surroundings.base_dir.join(path);
    let reach = Arc::new(Reach::new(&surroundings.base_dir, &on_disk, &surroundings.bounds));
    let mut reader = Reader {
        base_dir: &surroundings.base_dir,
        world: Arc::new(World {
            vars: surroundings.vars.value.clone(),
            env: surroundings.env.clone(),
            base_dir: surroundings.base_dir.clone(),
            reach: reach.clone(),
            read: Mutex::default(),
        }),
        reach,
        open: Vec::new(),
        done: BTreeSet::new(),
        suite: None,
        mistakes: Vec::new(),
        record: Vec::new(),
        evaluated: false,
        bytes: 0,
    };
    reader.open.extend(on_disk.canonicalize());
    reader.done.extend(reader.open.iter().cloned());
    reader.file(path, text);
    reader.finish(path, text, &surroundings.vars.bytes)
}

struct Reader<'s> {
    base_dir: &'s Path,
    world: Arc<World>,
    reach: Arc<Reach>,
    /// The real paths of the files that are being read, the outermost first.
    open: Vec<PathBuf>,
    /// The real paths of all files read.
    done: BTreeSet<PathBuf>,
    /// The outermost file's suite, with all checks read so far.
    suite: Option<Suite>,
    mistakes: Vec<Diagnostic>,
    /// What the digest is made of where there is more than one plain file.
    record: Vec<u8>,
    evaluated: bool,
    bytes: usize,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, text: &str) {
        let source = Source { path, text };
        let rendered = match template::render(text, &self.world) {
            Ok(rendered) => rendered,
            Err(mistakes) => {
                let told = mistakes
                    .iter()
                    .map(|it| Diagnostic::at(&source, it.span.clone(), &it.title, "", it.help.as_deref()));
                return self.mistakes.extend(told);
            }
        };
        self.evaluated |= rendered.is_evaluated();
        self.bytes += rendered.text.len();
        for part in [path.display().to_string().as_str(), text, &rendered.text] {
            note(&mut self.record, part.as_bytes());
        }
        let mut findings = Findings::of_template(source, &rendered);
        let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or("goss");
        if let Some((raw, mut includes)) = goss::read(&mut findings, stem) {
            let root = self.open.len() <= 1;
            // A root without any check of its own is still the suite that the included ones go into.
            let empty = root.then(|| Suite {
                name: raw.name.clone(),
                path: path.to_owned(),
                digest: Digest::of(text.as_bytes()),
                sudo: super::Sudo::Auto,
                checks: Vec::new(),
            });
            let read = check::read(&mut findings, raw, path, &Digest::of(text.as_bytes())).or(empty);
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
            let other_file = |other: &Check| other.path.as_ref() != mine;
            let same = |other: &Check| other.resource == check.resource && other.id == check.id;
            if let Some(first) = whole.checks.iter_mut().find(|other| other_file(other) && same(other)) {
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

    fn include(&mut self, findings: &mut Findings<'_>, include: &Include, from: &Path) {
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
            } else if self.done.len() >= MAX_FILES || self.bytes > MAX_BYTES {
                return wrong(format!("more than {MAX_FILES} files or 8 MiB are included"), None);
            } else if self.done.insert(real.clone()) {
                match self.reach.read(&real) {
                    Ok(text) => self.nested(&path, &text, real, admitted.outside),
                    Err(why) => wrong(format!("gossfile {:?}: {}: {why}", include.pattern, path.display()), None),
                }
            }
        }
    }

    fn nested(&mut self, path: &Path, text: &str, real: PathBuf, outside: bool) {
        self.open.push(real);
        let before = self.mistakes.len();
        self.file(path, text);
        if outside {
            self.mistakes[before..].iter_mut().for_each(Diagnostic::hide_text);
        }
        self.open.pop();
    }

    fn finish(mut self, path: &Path, text: &str, vars: &[u8]) -> Result<Suite, Vec<Diagnostic>> {
        let checks = self.suite.as_ref().map_or(0, |suite| suite.checks.len());
        if self.mistakes.is_empty() && checks == 0 {
            let help =
                "a suite that checks nothing can never pass; add a resource, like service: {ssh: {running: true}}";
            let title = format!("suite {:?} has no checks", path.file_stem().and_then(OsStr::to_str).unwrap_or("goss"));
            self.mistakes.push(Diagnostic::at(&Source { path, text }, 0..0, &title, "", Some(help)));
        }
        let Some(mut suite) = self.suite.filter(|_| self.mistakes.is_empty()) else { return Err(self.mistakes) };
        if self.evaluated || self.done.len() > 1 {
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
