//! Which files a suite may draw in (`gossfile`, `readFile`). It owns the bounds: goss reads whatever the user can read,
//! but here suites come from pull requests, and what a pull request names must stay within its repository.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

/// The largest file that is drawn in.
const MAX_BYTES: u64 = 1 << 20;
/// Names, anywhere in a path, under which credentials are kept: git's own folder holds the logins that CI puts there.
const CLOSED: [&str; 10] =
    [".git", ".ssh", ".aws", ".gnupg", ".kube", ".docker", ".netrc", ".git-credentials", ".npmrc", ".vault-token"];

/// The folders within which files may be read.
#[derive(Debug, Clone)]
pub(in crate::suite) struct Reach {
    roots: Vec<PathBuf>,
}

impl Reach {
    /// Within the repository that `base_dir` is in (without one: `base_dir` itself), and within the repository that the
    /// suite is in (without one: the suite's folder).
    pub(in crate::suite) fn new(base_dir: &Path, suite: &Path) -> Self {
        let folder = suite.parent().filter(|folder| *folder != Path::new("")).unwrap_or(base_dir);
        let mut roots: Vec<PathBuf> = [base_dir, folder].into_iter().filter_map(repository).collect();
        roots.dedup();
        Self { roots }
    }

    /// The file's real path, links followed. Fails with a fragment that says why it may not be read.
    pub(in crate::suite) fn admit(&self, path: &Path) -> Result<PathBuf, String> {
        let real = path.canonicalize().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => "no such file".to_owned(),
            _ => error.to_string(),
        })?;
        let within = self.roots.iter().filter_map(|root| real.strip_prefix(root).ok());
        let open = |rest: &Path| !rest.iter().any(|part| CLOSED.iter().any(|closed| part == *closed));
        let mut seen = false;
        for rest in within {
            if open(rest) {
                return Ok(real);
            }
            seen = true;
        }
        if seen {
            return Err("a place where credentials are kept is not read".to_owned());
        }
        let roots: Vec<String> = self.roots.iter().map(|root| root.display().to_string()).collect();
        Err(format!("it lies outside of {}", roots.join(" and ")))
    }

    /// Reads a text. Fails with a fragment that says why not.
    pub(in crate::suite) fn read(&self, path: &Path) -> Result<String, String> {
        let real = self.admit(path)?;
        let kind = std::fs::metadata(&real).map_err(|error| error.to_string())?;
        if !kind.is_file() {
            return Err("not a file".to_owned());
        }
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&real).map_err(|error| error.to_string())?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err("larger than 1 MiB".to_owned());
        }
        String::from_utf8(bytes).map_err(|error| format!("byte {} is not UTF-8", error.utf8_error().valid_up_to()))
    }
}

/// The repository that a folder is in, or the folder itself where it is in none.
fn repository(folder: &Path) -> Option<PathBuf> {
    let real = folder.canonicalize().ok()?;
    let found = real.ancestors().find(|above| above.join(".git").exists()).map(Path::to_owned);
    Some(found.unwrap_or(real))
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
        let reach = Reach::new(&at("repo/packer"), &at("repo/packer/suites/goss.yaml"));
        assert_eq!(reach.read(&at("repo/packer/../x")).as_deref(), Ok("repo/x"));
        let why = |path: &str| reach.read(&at(path)).expect_err("it is closed");
        assert!(why("repo/.git/config").contains("credentials"));
        assert!(why("elsewhere/secret").contains("outside"));
        assert!(why("repo/packer/link").contains("outside"));
        assert_eq!(why("repo/none"), "no such file");
        assert_eq!(why("repo/packer"), "not a file");
        let named = Reach::new(&at("repo/packer"), &at("elsewhere/goss.yaml"));
        assert_eq!(named.read(&at("elsewhere/secret")).as_deref(), Ok("elsewhere/secret"));
        let from_afar = Reach::new(&at("elsewhere"), &at("repo/packer/suites/goss.yaml"));
        assert_eq!(from_afar.read(&at("repo/x")).as_deref(), Ok("repo/x"));
        assert!(from_afar.read(&at("other/.aws/y")).is_err());
    }
}
