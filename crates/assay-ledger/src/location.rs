//! Which repository a folder belongs to, found once and from the checkout's top: by `.git` alone, in the folder or above it. It owns the search and what speaks
//! against a repository that was found; it refuses git's own discovery, which takes every folder with HEAD, objects and refs for a repository and obeys the
//! `config` in it. These are ordinary names, which a commit or an artifact can bring. A `.git` no commit can hold.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Component, Path, PathBuf},
};

use super::git::{GitCall, GitEnvironment, GitError, GitProgram};

/// The longest `.git` file that is read; it holds one path.
const LONGEST_GIT_FILE: u64 = 1 << 16;

/// Settings that may come from a file that the checkout tracks: they name no program, no server and no key.
const HARMLESS_SETTINGS: [&str; 14] = [
    "alias.",
    "color.",
    "advice.",
    "pull.",
    "rebase.",
    "status.",
    "log.",
    "blame.",
    "help.",
    "core.autocrlf",
    "core.eol",
    "core.safecrlf",
    "core.whitespace",
    "commit.template",
];

/// A repository that has a work tree. All paths are real ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckoutLocation {
    top: PathBuf,
    git_dir: PathBuf,
    common_dir: PathBuf,
}

impl CheckoutLocation {
    /// The repository whose checkout holds `folder`. Fails where there is none, where git will not work in it (it belongs to another user), and where a commit
    /// could have brought it or its settings.
    pub(crate) async fn of(folder: &Path, environment: &GitEnvironment) -> Result<Self, GitError> {
        let found = found_above(folder)?;
        let location = found.confirmed(environment).await?;
        location.refuse_planted(environment).await?;
        location.refuse_tracked_settings(environment).await?;
        Ok(location)
    }

    /// The top folder of the checkout.
    pub(crate) fn top(&self) -> &Path {
        &self.top
    }

    /// The variables that bind git to this repository, whatever folder it runs in.
    pub(super) fn variables(&self) -> [(&'static str, String); 2] {
        [("GIT_DIR", self.git_dir.display().to_string()), ("GIT_WORK_TREE", self.top.display().to_string())]
    }

    /// git in the top folder.
    pub(crate) fn git(&self, environment: &GitEnvironment) -> GitProgram {
        GitProgram::of(self, &self.top, environment)
    }

    /// `path` from the top, with `/`; `None` where it lies outside. The path must be a real one.
    pub(crate) fn path_from_top(&self, path: &Path) -> Option<String> {
        let inside = path.strip_prefix(&self.top).ok()?;
        let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
        Some(parts.join("/"))
    }

    /// The path of a folder from the top: empty, or with `/` at its end.
    pub(crate) fn prefix(&self, folder: &Path) -> Result<String, GitError> {
        let real = real(folder)?;
        let inside = self.path_from_top(&real).ok_or_else(|| GitError::NoRepository { folder: folder.to_owned() })?;
        Ok(if inside.is_empty() { inside } else { format!("{inside}/") })
    }

    /// Fails where `.git` of the top cannot have been put there by git or a person: another checkout, above it, tracks files below it.
    async fn refuse_planted(&self, environment: &GitEnvironment) -> Result<(), GitError> {
        let Some(above) = self.top.parent() else { return Ok(()) };
        let Ok(outer) = found_above(above) else { return Ok(()) };
        // Another user's folder above ours says nothing: git refuses it.
        let Ok(outer) = outer.confirmed(environment).await else { return Ok(()) };
        // A submodule, or a linked work tree below the main one: git keeps these in its own folder.
        if self.git_dir.starts_with(&outer.common_dir) {
            return Ok(());
        }
        let Some(inside) = outer.path_from_top(&self.top) else { return Ok(()) };
        match outer.tracks_files_in(&inside, environment).await? {
            false => Ok(()),
            true => Err(GitError::Unsafe {
                path: self.top.join(".git"),
                why: format!(
                    "the checkout {} tracks files in this folder, so the repository in it is not theirs; remove it",
                    outer.top.display()
                ),
            }),
        }
    }

    /// Fails where a setting comes from a file of the checkout (`include.path`): whoever writes a commit would choose the programs that git runs.
    async fn refuse_tracked_settings(&self, environment: &GitEnvironment) -> Result<(), GitError> {
        if let Some(inside) = self.path_from_top(&self.git_dir).filter(|inside| !inside.starts_with(".git"))
            && self.tracks_files_in(&inside, environment).await?
        {
            let why = "this is the repository's own folder, and the checkout tracks files in it; move it elsewhere";
            return Err(GitError::Unsafe { path: self.git_dir.clone(), why: why.to_owned() });
        }
        let listed = self.git(environment).run(GitCall::of(&["config", "--list", "--show-origin", "-z"])).await?;
        let mut fields = listed.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        let mut harmful: Vec<(PathBuf, String)> = Vec::new();
        while let (Some(origin), Some(setting)) = (fields.next(), fields.next()) {
            let name = setting.split('\n').next().unwrap_or_default().to_owned();
            let Some(path) = origin.strip_prefix("file:") else { continue };
            let Ok(path) = self.top.join(path).canonicalize() else { continue };
            let own = path.starts_with(&self.git_dir) || path.starts_with(&self.common_dir);
            let harmless = HARMLESS_SETTINGS.iter().any(|known| name.starts_with(known));
            if path.starts_with(&self.top) && !own && !harmless {
                harmful.push((path, name));
            }
        }
        for (path, name) in harmful {
            let inside = self.path_from_top(&path).unwrap_or_default();
            if self.tracks(&inside, environment).await? {
                let why = format!(
                    "git reads the setting {name} from this file, which a commit may change; set it in .git/config or \
                     with git config --global, and take the file out of include.path"
                );
                return Err(GitError::Unsafe { path, why });
            }
        }
        Ok(())
    }

    /// Whether the repository of the submodule at this path from the top is the one that git keeps for it, in its own folder.
    pub(super) fn owns_submodule(&self, path: &[u8]) -> bool {
        let folder = self.top.join(String::from_utf8_lossy(path).as_ref());
        let file = folder.join(".git");
        let plain = std::fs::symlink_metadata(&file).is_ok_and(|meta| meta.is_file());
        plain && named_by(&file, &folder).is_ok_and(|named| named.starts_with(self.common_dir.join("modules")))
    }

    /// Whether the index holds this file, by its path from the top. A difference in case alone counts as the same: on some file systems it is.
    pub(super) async fn tracks(&self, inside: &str, environment: &GitEnvironment) -> Result<bool, GitError> {
        let pathspec = format!(":(top,literal,icase){inside}");
        let listed = self.git(environment).text(&["ls-files", "-z", "--", &pathspec]).await?;
        Ok(!listed.is_empty())
    }

    /// Whether the index holds files below this folder; a submodule is none.
    async fn tracks_files_in(&self, folder: &str, environment: &GitEnvironment) -> Result<bool, GitError> {
        let pathspec = format!(":(top,literal,icase){folder}");
        let listed = self.git(environment).text(&["ls-files", "--stage", "-z", "--", &pathspec]).await?;
        Ok(listed.split('\0').any(|row| !row.is_empty() && !row.starts_with("160000 ")))
    }
}

/// A `.git` and where it leads, before git was asked.
struct FoundGit {
    top: PathBuf,
    git_dir: PathBuf,
}

impl FoundGit {
    /// Asks git whether it would work here. This is the one call that names no repository to git: whether a checkout of another user is accepted
    /// (`safe.directory`) git asks itself only then. It looks at the top folder alone, where `.git` is, and must find what we found.
    async fn confirmed(self, environment: &GitEnvironment) -> Result<CheckoutLocation, GitError> {
        let call = ["rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir"];
        let answer = GitProgram::in_top_folder(&self.top, environment).text(&call).await?;
        let paths: Vec<PathBuf> = answer.lines().filter_map(|line| Path::new(line).canonicalize().ok()).collect();
        match paths.as_slice() {
            [git_dir, common_dir] if *git_dir == self.git_dir => {
                Ok(CheckoutLocation { top: self.top, git_dir: self.git_dir, common_dir: common_dir.clone() })
            }
            _ => Err(GitError::Strange {
                verb: "rev-parse".to_owned(),
                answer: super::words::clean(&answer),
                expected: "the repository that .git in the checkout's top folder names",
            }),
        }
    }
}

/// The first `.git` in a folder or above it.
fn found_above(folder: &Path) -> Result<FoundGit, GitError> {
    let real = real(folder)?;
    for top in real.ancestors() {
        let path = top.join(".git");
        let unsafe_ = |why: String| GitError::Unsafe { path: path.clone(), why };
        match std::fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => {
                let git_dir = path.canonicalize().map_err(|error| unsafe_(error.to_string()))?;
                return Ok(FoundGit { top: top.to_owned(), git_dir });
            }
            Ok(meta) if meta.is_file() => {
                let git_dir = named_by(&path, top).map_err(unsafe_)?;
                return Ok(FoundGit { top: top.to_owned(), git_dir });
            }
            Ok(_) => return Err(unsafe_("this is neither a folder nor a file".to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(unsafe_(format!("cannot be looked at: {error}"))),
        }
    }
    Err(GitError::NoRepository { folder: folder.to_owned() })
}

/// The folder that a `.git` file names (gitrepository-layout(5)): linked work trees and submodules have one.
fn named_by(file: &Path, top: &Path) -> Result<PathBuf, String> {
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(|error| error.to_string())?;
    opened.take(LONGEST_GIT_FILE).read_to_string(&mut text).map_err(|error| error.to_string())?;
    let named = text.strip_prefix("gitdir: ").ok_or("this file does not begin with \"gitdir: \"")?;
    let named = named.trim_end_matches(['\n', '\r']);
    top.join(named).canonicalize().map_err(|error| format!("it names {named}: {error}"))
}

fn real(folder: &Path) -> Result<PathBuf, GitError> {
    let folder = if folder == Path::new("") { Path::new(".") } else { folder };
    folder.canonicalize().map_err(|error| GitError::Unsafe { path: folder.to_owned(), why: error.to_string() })
}

/// The first folder among those of `path` and above it, up to `top` (which is not looked at), that git's discovery would take for a repository, and which of its
/// names say so. `path` must be a real one.
pub(super) fn repository_like_folder(path: &Path, top: &Path) -> Option<(PathBuf, &'static str)> {
    let folders = path.ancestors().skip(1).take_while(|folder| *folder != top);
    folders.filter(|folder| folder.components().any(|part| matches!(part, Component::Normal(_)))).find_map(|folder| {
        let has = |name: &str| std::fs::symlink_metadata(folder.join(name)).is_ok();
        let kind = if has(".git") {
            ".git"
        } else if has("HEAD") && has("objects") && has("refs") {
            "HEAD, objects and refs"
        } else if has("HEAD") && has("commondir") {
            "HEAD and commondir"
        } else {
            return None;
        };
        Some((folder.to_owned(), kind))
    })
}

/// The folders among tracked paths that git's discovery would take for repositories, each with `/` at its end.
pub(super) fn repository_like_paths<'a>(paths: impl Iterator<Item = &'a str>) -> Vec<String> {
    // Some file systems make no difference between HEAD and head.
    let paths: BTreeMap<String, &str> = paths.map(|path| (path.to_ascii_lowercase(), path)).collect();
    let holds = |folder: &str, name: &str| {
        let path = format!("{folder}{name}");
        let below = format!("{path}/");
        let mut behind = paths.range(below.clone()..);
        paths.contains_key(&path) || behind.next().is_some_and(|(next, _)| next.starts_with(&below))
    };
    let like = |folder: &str| holds(folder, "objects") && holds(folder, "refs") || holds(folder, "commondir");
    let heads = paths.iter().filter_map(|(lower, path)| {
        let folder = lower.strip_suffix("head").filter(|folder| folder.is_empty() || folder.ends_with('/'))?;
        like(folder).then(|| if folder.is_empty() { "./".to_owned() } else { path[..folder.len()].to_owned() })
    });
    heads.collect()
}

#[cfg(test)]
#[path = "location_tests.rs"]
mod tests;
