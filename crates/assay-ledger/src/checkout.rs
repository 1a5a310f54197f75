//! A commit's files in a folder elsewhere, for rules that name files by path. Files that no suite may be as large as are left out, those that Git LFS would bring included:
//! a repository may hold gigabytes beside its suites. It refuses to touch the user's work tree and index.

use std::{collections::BTreeSet, ffi::OsString, path::Path, time::Duration};

use super::{
    LedgerError, LedgerSnapshot,
    git::{GitCall, GitError},
};

/// The largest file that is written; suites and what they name are smaller.
const LARGEST: u64 = 8 << 20;
/// The largest pointer of Git LFS (git-lfs specification: less than 1024 bytes).
const LARGEST_POINTER: u64 = 1024;
/// How long git may take: filters may bring files from elsewhere.
const DEADLINE: Duration = Duration::from_secs(15 * 60);

/// A file of the commit.
struct ListedBlob {
    path: String,
    id: String,
    size: u64,
}

impl LedgerSnapshot {
    /// Writes the files of this commit below `folder`, as a checkout would (filters and line ends as git is configured), but for those larger than 8 MiB.
    pub async fn checkout(&self, folder: &Path) -> Result<(), LedgerError> {
        let repository = self.repository();
        let in_git = |source: GitError| LedgerError::git(repository, source);
        let scratch = tempfile::Builder::new().prefix("assay-index-").tempdir();
        let scratch = scratch.map_err(|error| in_git(GitError::Missing { reason: error.to_string() }))?;
        let index = || vec![("GIT_INDEX_FILE", OsString::from(scratch.path().join("index")))];
        let read = GitCall { arguments: vec!["read-tree", self.commit()], variables: index(), ..GitCall::default() };
        repository.git().run(read).await.map_err(in_git)?;
        let left_out = self.too_large(&index).await?;
        if !left_out.is_empty() {
            let input: String = left_out.iter().map(|path| format!("{path}\0")).collect();
            let arguments = vec!["update-index", "-z", "--force-remove", "--stdin"];
            let call = GitCall { arguments, input: input.as_bytes(), variables: index(), ..GitCall::default() };
            repository.git().run(call).await.map_err(in_git)?;
        }
        let prefix = format!("--prefix={}/", folder.display());
        let arguments = vec!["checkout-index", "--all", "--force", "--quiet", &prefix];
        let call = GitCall { arguments, variables: index(), deadline: Some(DEADLINE), ..GitCall::default() };
        repository.git().run(call).await.map_err(in_git).map(drop)
    }

    /// The paths of files that are larger than any suite, themselves or by their pointer of Git LFS.
    async fn too_large(
        &self,
        index: &impl Fn() -> Vec<(&'static str, OsString)>,
    ) -> Result<BTreeSet<String>, LedgerError> {
        let in_git = |source: GitError| LedgerError::git(self.repository(), source);
        let arguments = vec!["ls-tree", "-r", "-l", "-z", "--full-tree", self.commit()];
        let call = GitCall { arguments, deadline: Some(DEADLINE), ..GitCall::default() };
        let listed = self.repository().git().run(call).await.map_err(in_git)?;
        let blobs: Vec<ListedBlob> = String::from_utf8_lossy(&listed).split('\0').filter_map(listed_blob).collect();
        let mut found: BTreeSet<String> =
            blobs.iter().filter(|blob| blob.size > LARGEST).map(|blob| blob.path.clone()).collect();
        let small: Vec<&ListedBlob> = blobs.iter().filter(|blob| blob.size <= LARGEST_POINTER).collect();
        let input: String = small.iter().map(|blob| format!("{}\0", blob.path)).collect();
        if input.is_empty() {
            return Ok(found);
        }
        let arguments = vec!["check-attr", "--cached", "-z", "--stdin", "filter"];
        let call = GitCall { arguments, input: input.as_bytes(), variables: index(), ..GitCall::default() };
        let attributes = self.repository().git().run(call).await.map_err(in_git)?;
        let filtered = filtered_by_lfs(&String::from_utf8_lossy(&attributes));
        let pointers: Vec<&ListedBlob> = small.into_iter().filter(|blob| filtered.contains(&blob.path)).collect();
        let ids: Vec<&str> = pointers.iter().map(|blob| blob.id.as_str()).collect();
        for (blob, bytes) in pointers.iter().zip(self.blobs_up_to(&ids, LARGEST_POINTER).await?) {
            if pointed_size(&String::from_utf8_lossy(&bytes.unwrap_or_default())).is_some_and(|size| size > LARGEST) {
                found.insert(blob.path.clone());
            }
        }
        Ok(found)
    }
}

/// A row of `ls-tree -l`: mode, type, id and size, a tab, the path. `None` for what is no file.
fn listed_blob(row: &str) -> Option<ListedBlob> {
    let (head, path) = row.split_once('\t')?;
    let mut words = head.split_ascii_whitespace();
    let (mode, id) = (words.next()?, words.nth(1)?);
    let size = words.next()?.parse().ok()?;
    mode.starts_with("100").then(|| ListedBlob { path: path.to_owned(), id: id.to_owned(), size })
}

/// The paths whose attribute `filter` is `lfs`: path, attribute and value, each with a NUL behind it (git-check-attr(1)).
fn filtered_by_lfs(attributes: &str) -> BTreeSet<String> {
    let fields: Vec<&str> = attributes.split('\0').collect();
    fields.chunks_exact(3).filter(|row| row[2] == "lfs").map(|row| row[0].to_owned()).collect()
}

/// The size that a pointer names.
fn pointed_size(pointer: &str) -> Option<u64> {
    pointer.starts_with("version https://git-lfs.github.com/spec/").then_some(())?;
    pointer.lines().find_map(|line| line.strip_prefix("size ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BooksRequest, world::GitWorld};

    #[tokio::test]
    async fn what_is_larger_than_any_suite_is_not_written() {
        let world = GitWorld::new();
        // A filter that would bring what a pointer names; it must not be asked for the large one.
        let filter = "f() { cat >/dev/null; echo brought; }; f";
        world.git("clone", &["config", "filter.lfs.smudge", filter]);
        world.git("clone", &["config", "filter.lfs.clean", "cat"]);
        let pointer = |size: u64| {
            format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {size}\n", "0".repeat(64))
        };
        world.write("clone/.gitattributes", "*.bin filter=lfs\n");
        world.write("clone/small.bin", &pointer(100));
        world.write("clone/huge.bin", &pointer(5 << 30));
        world.write("clone/large", &"x".repeat(9 << 20));
        world.git("clone", &["add", "."]);
        world.git("clone", &["commit", "-q", "-m", "files"]);
        world.git("clone", &["push", "-q", "origin", "HEAD:main"]);
        let before = world.checkout_state("clone");
        let environment = world.environment.clone();
        let request =
            BooksRequest { folder: world.path("clone"), branch: "main".to_owned(), remote: None, environment };
        let books = LedgerSnapshot::open(&request).await.expect("books");
        books.checkout(&world.path("elsewhere")).await.expect("checked out");
        assert_eq!(std::fs::read_to_string(world.path("elsewhere/README.md")).expect("a file"), "images\n");
        assert_eq!(std::fs::read_to_string(world.path("elsewhere/small.bin")).expect("a file"), "brought\n");
        assert!(!world.path("elsewhere/huge.bin").exists() && !world.path("elsewhere/large").exists());
        assert_eq!(world.checkout_state("clone"), before);
    }
}
