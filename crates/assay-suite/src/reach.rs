//! Which files a suite may draw in (`gossfile`, `readFile`, `vars`, `path`), and which files suites may be. It owns the bounds: goss reads whatever the
//! user can read, but here assay.hcl and suites come from pull requests, and what a pull request names must stay within its repository.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    path::{Component, Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::bounds::{NamedBy, SuiteBounds};

/// The largest file that is drawn in.
const MAX_BYTES: u64 = 1 << 20;
/// Names, anywhere in a path, under which credentials are kept: git's own folder holds the logins that CI puts there.
const CLOSED: [&str; 19] = [
    ".git",
    ".bare",
    ".ssh",
    ".aws",
    ".azure",
    ".config",
    ".gnupg",
    ".kube",
    ".docker",
    ".netrc",
    ".git-credentials",
    ".npmrc",
    ".pypirc",
    ".vault-token",
    ".env",
    ".terraform",
    ".terraformrc",
    "terraform.tfstate",
    "credentials.toml",
];
/// Beginnings of such names: google-github-actions/auth puts its key beside the sources.
const CLOSED_BEGINNINGS: [&str; 2] = ["gha-creds-", ".env."];
/// Folders of the system's that hold no files of anybody's, but processes, their environment, and devices.
const SYSTEM: [&str; 3] = ["/proc", "/sys", "/dev"];
/// The one folder in there that holds ordinary files.
const SHARED_MEMORY: &str = "/dev/shm";

/// The folders within which files may be read.
#[derive(Debug)]
pub struct ReadableFolders {
    roots: Vec<PathBuf>,
    bounds: SuiteBounds,
    /// What git tracks, by the top folder of each checkout that was asked.
    tracked: Mutex<BTreeMap<PathBuf, Result<BTreeSet<PathBuf>, String>>>,
}

/// A file that may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmittedFile {
    /// Its real path, links followed.
    pub path: PathBuf,
    /// Whether it lies outside of the repository and `--allow-path` alone admits it: then nothing of it is shown.
    pub outside: bool,
}

impl ReadableFolders {
    /// Within the repository that `base_dir` is in (without one: `base_dir` itself), and within the repository that the
    /// suite is in (without one: the suite's folder).
    pub fn new(base_dir: &Path, suite: &Path, bounds: &SuiteBounds) -> Self {
        let folder = suite.parent().filter(|folder| *folder != Path::new("")).unwrap_or(base_dir);
        Self::within(&[base_dir, folder], bounds)
    }

    /// Within the repository that `folder` is in, without one: `folder` itself.
    pub fn of_folder(folder: &Path, bounds: &SuiteBounds) -> Self {
        Self::within(&[folder], bounds)
    }

    fn within(folders: &[&Path], bounds: &SuiteBounds) -> Self {
        let mut roots: Vec<PathBuf> = match &bounds.checkout {
            Some(checkout) => checkout.canonicalize().into_iter().collect(),
            None => folders.iter().filter_map(|folder| repository_or_folder(folder)).collect(),
        };
        roots.dedup();
        Self { roots, bounds: bounds.clone(), tracked: Mutex::default() }
    }

    /// Whether a name, of a file or folder, is that of a place where credentials are kept.
    pub fn is_closed(name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        CLOSED.contains(&name.as_str()) || CLOSED_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
    }

    /// A file, by who named it. Fails with a fragment that says why it may not be read.
    pub fn admit_as(&self, path: &Path, named_by: NamedBy) -> Result<AdmittedFile, String> {
        match named_by {
            NamedBy::File => self.admit(path),
            NamedBy::CommandLine => self.admit_named(path),
        }
    }

    /// A file or folder that a file named. Fails with a fragment that says why it may not be read.
    pub fn admit(&self, path: &Path) -> Result<AdmittedFile, String> {
        let real = real_path(path)?;
        let within = self.roots.iter().filter_map(|root| real.strip_prefix(root).ok().map(|rest| (root, rest)));
        let mut closed = false;
        for (root, rest) in within {
            if is_open(root, rest) {
                return Ok(AdmittedFile { path: real, outside: false });
            }
            closed = true;
        }
        let allowed = self.bounds.allowed_paths.iter().filter_map(|folder| folder.canonicalize().ok());
        if allowed.into_iter().any(|folder| real.starts_with(folder)) {
            return Ok(AdmittedFile { path: real, outside: true });
        }
        if closed {
            return Err("a place where credentials are kept is not read".to_owned());
        }
        let roots: Vec<String> = self.roots.iter().map(|root| root.display().to_string()).collect();
        Err(format!("it lies outside of {}", roots.join(" and ")))
    }

    /// A file or folder that a person named on the command line. Fails with a fragment where it is none of the file system's own, or where a link in a
    /// repository leads out of that repository.
    pub fn admit_named(&self, path: &Path) -> Result<AdmittedFile, String> {
        let real = real_path(path)?;
        if let Some((link, target)) = link_out_of_a_repository(path)? {
            let allowed = self.bounds.allowed_paths.iter().filter_map(|folder| folder.canonicalize().ok());
            if !allowed.into_iter().any(|folder| real.starts_with(folder)) {
                let (link, target) = (link.display(), target.display());
                return Err(format!("{link} is a link that leads out of its repository, to {target}"));
            }
            return Ok(AdmittedFile { path: real, outside: true });
        }
        Ok(AdmittedFile { path: real, outside: false })
    }

    /// Reads a text. Fails with a fragment that says why not.
    pub fn read(&self, path: &Path) -> Result<String, String> {
        read_text(&self.admit(path)?.path)
    }

    /// As [`Self::read`], but of a repository only what git tracks: what CI and tools leave in a checkout may hold credentials under any name.
    pub fn read_tracked(&self, path: &Path) -> Result<String, String> {
        let admitted = self.admit(path)?;
        let real = admitted.path;
        if !admitted.outside
            && self.bounds.checkout.is_none()
            && let Some(top) = repository(&real)
        {
            let mut asked = self.tracked.lock().unwrap_or_else(PoisonError::into_inner);
            let asked = asked.entry(top).or_insert_with_key(|top| match self.bounds.tracked {
                Some(tracked) => tracked(top),
                None => Err("nobody can say which files git tracks".to_owned()),
            });
            let tracked = asked.as_ref().map_err(|why| format!("whether git tracks it is not known: {why}"))?;
            if !tracked.contains(&real) {
                return Err("git does not track it; only what is in the repository is read: git add it".to_owned());
            }
        }
        read_text(&real)
    }
}

fn real_path(path: &Path) -> Result<PathBuf, String> {
    let real = path.canonicalize().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        _ => error.to_string(),
    })?;
    let system = SYSTEM.iter().find(|folder| real.starts_with(folder) && !real.starts_with(SHARED_MEMORY));
    match system {
        Some(folder) => Err(format!("nothing in {folder} is read")),
        None => Ok(real),
    }
}

/// Whether no part of a path below its root is a place where credentials are kept.
fn is_open(root: &Path, rest: &Path) -> bool {
    let mut folder = root.to_owned();
    rest.iter().all(|part| {
        folder.push(part);
        let is_repository = ["HEAD", "objects", "refs"].iter().all(|name| folder.join(name).exists());
        !is_repository && !ReadableFolders::is_closed(&part.to_string_lossy())
    })
}

/// The first link on the way along `path` that stands in a repository and leads out of it, and where to. Fails with a sentence where a link leads nowhere.
pub fn link_out_of_a_repository(path: &Path) -> Result<Option<(PathBuf, PathBuf)>, String> {
    let absolute = std::path::absolute(path).map_err(|error| error.to_string())?;
    let mut real = PathBuf::new();
    for part in absolute.components() {
        if part == Component::ParentDir {
            real.pop();
            continue;
        }
        let here = real.join(part);
        let is_link = std::fs::symlink_metadata(&here).is_ok_and(|meta| meta.is_symlink());
        if is_link {
            let target = here.canonicalize().map_err(|error| format!("{}: {error}", here.display()))?;
            if repository(&real).is_some_and(|top| !target.starts_with(top)) {
                return Ok(Some((here, target)));
            }
            real = target;
        } else {
            real = here;
        }
    }
    Ok(None)
}

fn read_text(real: &Path) -> Result<String, String> {
    let kind = std::fs::metadata(real).map_err(|error| error.to_string())?;
    if !kind.is_file() {
        return Err("not a file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(real).map_err(|error| error.to_string())?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err("larger than 1 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| format!("byte {} is not UTF-8", error.utf8_error().valid_up_to()))
}

/// The top folder of the repository that a real path is in.
fn repository(path: &Path) -> Option<PathBuf> {
    path.ancestors().find(|above| above.join(".git").exists()).map(Path::to_owned)
}

/// The repository that a folder is in, or the folder itself where it is in none.
fn repository_or_folder(folder: &Path) -> Option<PathBuf> {
    let folder = if folder == Path::new("") { Path::new(".") } else { folder };
    let real = folder.canonicalize().ok()?;
    Some(repository(&real).unwrap_or(real))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_within_the_repository_and_the_suites_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for dir in ["repo/.git", "repo/packer/suites", "elsewhere", "other/.aws"] {
            std::fs::create_dir_all(at(dir)).expect("made");
        }
        for file in ["repo/x", "repo/.git/config", "elsewhere/secret", "elsewhere/goss.yaml", "other/.aws/y"] {
            std::fs::write(at(file), file).expect("written");
        }
        std::os::unix::fs::symlink(at("elsewhere/secret"), at("repo/packer/link")).expect("linked");
        let reach =
            ReadableFolders::new(&at("repo/packer"), &at("repo/packer/suites/goss.yaml"), &SuiteBounds::default());
        assert_eq!(reach.read(&at("repo/packer/../x")).as_deref(), Ok("repo/x"));
        let why = |path: &str| reach.read(&at(path)).expect_err("it is closed");
        assert!(why("repo/.git/config").contains("credentials"));
        assert!(why("elsewhere/secret").contains("outside"));
        assert!(why("repo/packer/link").contains("outside"));
        assert_eq!(why("repo/none"), "no such file");
        assert_eq!(why("repo/packer"), "not a file");
        let named = ReadableFolders::new(&at("repo/packer"), &at("elsewhere/goss.yaml"), &SuiteBounds::default());
        assert_eq!(named.read(&at("elsewhere/secret")).as_deref(), Ok("elsewhere/secret"));
        let from_afar =
            ReadableFolders::new(&at("elsewhere"), &at("repo/packer/suites/goss.yaml"), &SuiteBounds::default());
        assert_eq!(from_afar.read(&at("repo/x")).as_deref(), Ok("repo/x"));
        assert!(from_afar.read(&at("other/.aws/y")).is_err());
    }

    #[test]
    fn what_holds_credentials_is_closed_by_name_and_by_what_lies_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a path");
        std::fs::create_dir(root.join(".git")).expect("made");
        for name in [
            "gha-creds-1f.json",
            ".env",
            ".env.prod",
            ".ENV",
            ".pypirc",
            ".terraform/x",
            "a/terraform.tfstate",
            ".terraformrc",
            ".cargo/credentials.toml",
            ".config/gh/hosts.yml",
            ".bare/config",
            "mirror/config",
        ] {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().expect("one")).expect("made");
            std::fs::write(&path, "x").expect("written");
            if name.starts_with("mirror") {
                for beside in ["HEAD", "objects", "refs"] {
                    std::fs::write(root.join("mirror").join(beside), "").expect("written");
                }
            }
            let why = ReadableFolders::of_folder(&root, &SuiteBounds::default()).read(&path).expect_err(name);
            assert!(why.contains("credentials"), "{name}: {why}");
        }
    }

    #[test]
    fn a_person_may_name_any_file_but_no_link_leads_out_of_a_repository() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("repo/.git")).expect("made");
        std::fs::create_dir_all(at("elsewhere/deep")).expect("made");
        std::fs::write(at("elsewhere/deep/secret"), "x").expect("written");
        std::fs::write(at("repo/own"), "x").expect("written");
        symlink(at("elsewhere/deep/secret"), at("repo/file")).expect("linked");
        symlink(at("elsewhere"), at("repo/folder")).expect("linked");
        symlink("own", at("repo/inner")).expect("linked");
        symlink(at("repo/own"), at("elsewhere/back")).expect("linked");
        symlink("/proc/self/environ", at("elsewhere/environ")).expect("linked");
        let reach = ReadableFolders::of_folder(&at("repo"), &SuiteBounds::default());
        for name in
            ["elsewhere/deep/secret", "repo/own", "repo/inner", "elsewhere/back", "repo/../elsewhere/deep/secret"]
        {
            assert!(reach.admit_named(&at(name)).is_ok_and(|file| !file.outside), "{name}");
        }
        for name in ["repo/file", "repo/folder/deep/secret", "elsewhere/../repo/folder/deep/secret"] {
            let why = reach.admit_named(&at(name)).expect_err(name);
            assert!(why.contains("leads out of its repository"), "{name}: {why}");
        }
        let why = reach.admit_named(&at("elsewhere/environ")).expect_err("the environment");
        assert!(why.contains("/proc"), "{why}");
        let wider = SuiteBounds { allowed_paths: vec![at("elsewhere")], ..SuiteBounds::default() };
        let wider = ReadableFolders::of_folder(&at("repo"), &wider);
        assert!(wider.admit(&at("elsewhere/deep/secret")).is_ok_and(|file| file.outside));
        assert!(wider.admit(&at("elsewhere/environ")).is_err());
        assert!(reach.admit(&at("elsewhere/deep/secret")).is_err());
    }

    #[test]
    fn a_template_reads_only_what_git_tracks() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join(".git")).expect("made");
        for name in ["known", "left-behind"] {
            std::fs::write(folder.path().join(name), name).expect("written");
        }
        let read = |bounds: SuiteBounds, name: &str| {
            ReadableFolders::of_folder(folder.path(), &bounds).read_tracked(&folder.path().join(name))
        };
        let tracked = |top: &Path| Ok(BTreeSet::from([top.join("known")]));
        let bounds = SuiteBounds { tracked: Some(tracked), ..SuiteBounds::default() };
        assert_eq!(read(bounds.clone(), "known").as_deref(), Ok("known"));
        assert!(read(bounds, "left-behind").expect_err("not tracked").contains("git add"));
        assert!(read(SuiteBounds::default(), "known").expect_err("unasked").contains("not known"));
        let silent = SuiteBounds { tracked: Some(|_| Err("git is broken".to_owned())), ..SuiteBounds::default() };
        assert!(read(silent, "known").expect_err("no answer").contains("git is broken"));
        let checkout = SuiteBounds { checkout: Some(folder.path().to_owned()), ..SuiteBounds::default() };
        assert_eq!(read(checkout, "known").as_deref(), Ok("known"));
    }
}
