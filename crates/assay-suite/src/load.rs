//! Suite files from disk. It owns which files are read and how large they may be; every mistake of every file is told
//! at once.

use std::{
    ffi::OsStr,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use super::{
    ResourceKind, Suite,
    bounds::{NamedBy, SuiteBounds},
    check,
    demand::SuiteDialect,
    diagnostic::{SourceDiagnostic, SourceText},
    gossfile, hcl, profiles,
    reach::ReadableFolders,
    template::{self, TemplateVars, VarSources, VisibleEnvironment},
    tree::FileMistakes,
};
use assay_model::Digest;

/// A suite file larger than this is refused.
const MAX_BYTES: u64 = 1 << 20;
/// Room for the parsers' recursion.
const PARSER_STACK: usize = 16 << 20;

/// Reads the suites in `paths` without any variables; see [`load_with`].
pub fn load(paths: &[PathBuf], base_dir: &Path) -> Result<Vec<Suite>, Vec<SourceDiagnostic>> {
    load_with(paths, base_dir, &VarSources::default())
}

/// Reads the suites in `paths`, relative ones from `base_dir`: `.hcl` files hold `suite` blocks, `.yaml`, `.yml` and
/// `.json` files are goss's, templates with `vars`, and make one suite each, named after the file; `profile:NAME` is a
/// ready suite ([`super::PROFILES`]). Returns all suites in order, or every mistake of every file.
pub fn load_with(paths: &[PathBuf], base_dir: &Path, vars: &VarSources) -> Result<Vec<Suite>, Vec<SourceDiagnostic>> {
    on_a_thread(|| {
        let bounds = vars.bounds.clone();
        let reach = ReadableFolders::of_folder(base_dir, &bounds);
        let vars = template::load_vars(vars)?;
        let env = VisibleEnvironment::of_process(&bounds.environment);
        let surroundings = LoadContext { base_dir: base_dir.to_owned(), vars, env, bounds };
        let mut suites = Vec::new();
        let mut mistakes = Vec::new();
        for path in paths {
            if let Some(profile) = profiles::find(path) {
                match profile
                    .map_err(|mistake| vec![mistake])
                    .and_then(|text| hcl_suites(path, text, &surroundings.vars))
                {
                    Ok(found) => suites.extend(found),
                    Err(found) => mistakes.extend(found),
                }
                continue;
            }
            match bytes(&reach, surroundings.bounds.suites, &base_dir.join(path), path) {
                Ok((bytes, outside)) => match read_here(path, &bytes, &surroundings) {
                    Ok(found) => suites.extend(found),
                    Err(mut found) => {
                        if outside {
                            found.iter_mut().for_each(SourceDiagnostic::hide_text);
                        }
                        mistakes.extend(found);
                    }
                },
                Err(mistake) => mistakes.push(mistake),
            }
        }
        mistakes.extend(suites.iter().flat_map(|suite| missing_tests(suite, &surroundings)));
        if mistakes.is_empty() { Ok(suites) } else { Err(mistakes) }
    })
}

/// The external suites whose tests are not there, or not where they may be.
fn missing_tests(suite: &Suite, surroundings: &LoadContext) -> Vec<SourceDiagnostic> {
    let base_dir = &surroundings.base_dir;
    let missing = suite.checks.iter().filter(|check| check.resource == ResourceKind::External).filter_map(|check| {
        let file = check.path.as_ref().unwrap_or(&suite.path);
        let folder = suite.folder_of(check, base_dir);
        let tests = folder.join(check.parameters.get("path")?.as_str()?);
        let help = format!("looked for {}", tests.display());
        let title = match ReadableFolders::of_folder(&folder, &surroundings.bounds).admit(&tests) {
            Ok(_) => return None,
            Err(_) if !tests.exists() => format!("external {:?}: its tests are not there", check.id),
            Err(why) => format!("external {:?}: its tests cannot be taken: {why}", check.id),
        };
        Some(SourceDiagnostic::on_line(file, check.line, &title, &help))
    });
    missing.collect()
}

/// What all suites of one reading share.
#[derive(Debug, Clone)]
pub(super) struct LoadContext {
    /// The folder that relative paths start from.
    pub base_dir: PathBuf,
    /// The variables.
    pub vars: TemplateVars,
    /// The environment.
    pub env: VisibleEnvironment,
    /// What may be read.
    pub bounds: SuiteBounds,
}

/// Reads one file's bytes as suites; `path` is for its kind and for messages.
#[cfg(test)]
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Vec<Suite>, Vec<SourceDiagnostic>> {
    let surroundings = LoadContext {
        base_dir: PathBuf::from("."),
        vars: TemplateVars::default(),
        env: VisibleEnvironment::default(),
        bounds: SuiteBounds::default(),
    };
    on_a_thread(|| read_here(path, bytes, &surroundings))
}

/// Runs `work` on a thread with a stack of known size: the parsers recurse (at most 64 levels, their own limit), and in
/// a debug build that takes more than the 2 MiB that a thread of the runtime has.
fn on_a_thread(
    work: impl FnOnce() -> Result<Vec<Suite>, Vec<SourceDiagnostic>> + Send,
) -> Result<Vec<Suite>, Vec<SourceDiagnostic>> {
    let broken = |title: &str| Err(vec![SourceDiagnostic::file(Path::new("suites"), title, None)]);
    std::thread::scope(|scope| {
        let reader = std::thread::Builder::new().name("suite".into()).stack_size(PARSER_STACK);
        match reader.spawn_scoped(scope, work).map(|thread| thread.join()) {
            Ok(Ok(read)) => read,
            Ok(Err(_)) => broken("the reader of suites broke down on these files"),
            Err(error) => broken(&format!("no thread to read them: {error}")),
        }
    })
}

fn read_here(path: &Path, bytes: &[u8], surroundings: &LoadContext) -> Result<Vec<Suite>, Vec<SourceDiagnostic>> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let title = format!("byte {} is not UTF-8", error.valid_up_to());
            return Err(vec![SourceDiagnostic::file(path, &title, Some("save the file as UTF-8 text"))]);
        }
    };
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
    match extension.as_str() {
        "hcl" => hcl_suites(path, text, &surroundings.vars),
        "yaml" | "yml" | "json" => gossfile::read(path, text, surroundings).map(|suite| vec![suite]),
        _ => {
            let help = "a suite is a .hcl file, or goss's .yaml, .yml or .json";
            Err(vec![SourceDiagnostic::file(path, "no known kind of suite file", Some(help))])
        }
    }
}

fn hcl_suites(path: &Path, text: &str, vars: &TemplateVars) -> Result<Vec<Suite>, Vec<SourceDiagnostic>> {
    let mut findings = FileMistakes::new(SourceText { path, text });
    findings.vars = &vars.entries;
    let raw = hcl::read(&mut findings);
    if raw.is_empty() && findings.list.is_empty() {
        let help = Some("write suite \"name\" { … } with at least one resource in it");
        findings.list.push(SourceDiagnostic::file(path, "no suite in this file", help));
    }
    // Where variables may have a part in it, they are part of what was run.
    let digest = match text.contains("var.") && !vars.bytes.is_empty() {
        true => Digest::of(&[text.as_bytes(), &[0], &vars.bytes].concat()),
        false => Digest::of(text.as_bytes()),
    };
    let suites: Vec<Suite> =
        raw.into_iter().filter_map(|raw| check::read(&mut findings, raw, path, &digest, SuiteDialect::Hcl)).collect();
    if findings.list.is_empty() {
        return Ok(suites);
    }
    findings.list.sort_by_key(|d| (d.line, d.column));
    Err(findings.list)
}

/// A suite file's bytes, and whether it lies outside of the repository.
fn bytes(reach: &ReadableFolders, by: NamedBy, from: &Path, named: &Path) -> Result<(Vec<u8>, bool), SourceDiagnostic> {
    let unreadable = |error: std::io::Error| {
        let title = match error.kind() {
            std::io::ErrorKind::NotFound => "no such suite file".to_owned(),
            _ => format!("the suite cannot be read: {error}"),
        };
        SourceDiagnostic::file(named, &title, Some(&format!("looked for {}", from.display())))
    };
    std::fs::metadata(from).map_err(unreadable)?;
    let admitted = reach.admit_as(from, by).map_err(|why| {
        let help = "suites lie in the repository; --allow-path DIR on the command line admits those of another folder";
        SourceDiagnostic::file(named, &format!("the suite cannot be read: {why}"), Some(help))
    })?;
    let file = File::open(&admitted.path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(SourceDiagnostic::file(named, "not a file", Some("name the suite files one by one")));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(SourceDiagnostic::file(named, "larger than 1 MiB", Some("split the suite into several files")));
    }
    Ok((bytes, admitted.outside))
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
