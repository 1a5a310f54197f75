//! The remote of a repository: what it has, fetching from it, and one atomic push. It owns the reading of a push's answer (a race, a
//! refusal, silence); it refuses to force and to retry (see `commit`).

use std::collections::BTreeMap;

use super::{
    git::{GitCall, GitError, REMOTE_DEADLINE},
    repository::Repository,
    words::clean,
};

/// How a push ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PushAnswer {
    /// The remote took everything. What it said, without git's own words; empty where it said nothing.
    Done(String),
    /// Somebody else was faster, or the remote says so: look again and retry. The remote's words.
    Race(String),
    /// The remote will not have it: a hook, a protected branch, a rule. Its words.
    Refused(String),
    /// No answer, or one that may pass: whether it was taken must be looked up. git's words.
    Silence(String),
}

/// The remote's references: full name → object id; a tag's commit stands under `name^{}`.
pub(crate) type RemoteReferences = BTreeMap<String, String>;

impl Repository {
    /// What the remote has under these full names or patterns. Fails when it cannot be asked.
    pub(crate) async fn remote_references(&self, remote: &str, names: &[&str]) -> Result<RemoteReferences, GitError> {
        // Without these two the remote lists everything, pull requests included, and git sorts out afterwards.
        let mut arguments = vec!["ls-remote", "--quiet", "--heads", "--tags", "--", remote];
        arguments.extend(names);
        let deadline = Some(REMOTE_DEADLINE);
        let output = self.git().run(GitCall { arguments, deadline, ..GitCall::default() }).await?;
        let text = String::from_utf8_lossy(&output);
        Ok(text.lines().filter_map(|l| l.split_once('\t')).map(|(id, name)| (name.to_owned(), id.to_owned())).collect())
    }

    /// Brings the objects behind one reference here. No reference, FETCH_HEAD or shallow boundary changes; no depth is asked for, which
    /// would make the user's clone shallower than it is.
    pub(crate) async fn fetch(&self, remote: &str, reference: &str) -> Result<(), GitError> {
        self.fetch_these(remote, &[reference]).await
    }

    /// As [`Self::fetch`], for several at once.
    pub(super) async fn fetch_these(&self, remote: &str, references: &[&str]) -> Result<(), GitError> {
        let mut arguments = vec![
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--no-auto-gc",
            "--refmap=",
            "--",
            remote,
        ];
        arguments.extend(references);
        self.git().run(GitCall { arguments, deadline: Some(REMOTE_DEADLINE), ..GitCall::default() }).await.map(drop)
    }

    /// Pushes `refspecs` (`id:refs/…`), all or none. A remote that cannot do that (AWS CodeCommit) gets them one after the other, the
    /// branch first: a tag never names a commit that is on no branch.
    pub(crate) async fn push(&self, remote: &str, refspecs: &[String]) -> Result<PushAnswer, GitError> {
        match self.push_once(remote, refspecs, true).await? {
            PushAnswer::Silence(words) if words.contains("does not support --atomic") => {}
            answer => return Ok(answer),
        }
        let mut said = Vec::new();
        for refspec in refspecs {
            match self.push_once(remote, std::slice::from_ref(refspec), false).await? {
                PushAnswer::Done(words) => said.extend(Some(words).filter(|words| !words.is_empty())),
                answer => return Ok(answer),
            }
        }
        Ok(PushAnswer::Done(said.join("\n")))
    }

    async fn push_once(&self, remote: &str, refspecs: &[String], atomic: bool) -> Result<PushAnswer, GitError> {
        // Without these two the user's push.followTags and push.recurseSubmodules would push more than what is asked.
        let mut arguments = vec!["push", "--porcelain", "--no-follow-tags", "--recurse-submodules=no"];
        if atomic {
            arguments.push("--atomic");
        }
        arguments.extend(["--", remote]);
        arguments.extend(refspecs.iter().map(String::as_str));
        match self.git().run_telling(GitCall { arguments, deadline: Some(REMOTE_DEADLINE), ..GitCall::default() }).await
        {
            Ok((_, words)) => Ok(PushAnswer::Done(of_remote(&words))),
            Err(GitError::Failed { words, output, .. }) => Ok(read_answer(&output, &words)),
            Err(error @ GitError::Timeout { .. }) => Ok(PushAnswer::Silence(error.to_string())),
            Err(error) => Err(error),
        }
    }
}

/// The remote's own lines among git's words.
fn of_remote(words: &str) -> String {
    let lines = words.lines().filter_map(|line| line.strip_prefix("remote:")).map(str::trim);
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Reasons of a rejected reference that mean "it moved": from git's own `send-pack.c` and `transport.c` (client) and `refs/` (server).
const RACES: [&str; 9] = [
    "fetch first",
    "non-fast-forward",
    "stale info",
    "already exists",
    "cannot lock ref",
    "failed to lock",
    "failed to update ref",
    "incorrect old value",
    "reference broken",
];
/// Reasons that only say that another reference of the same push was rejected.
const COMPANIONS: [&str; 3] = ["atomic push failed", "atomic push failure", "atomic transaction failed"];
/// Reasons that may pass by themselves.
const PASSING: [&str; 4] = ["unpacker error", "internal", "timed out", "temporarily"];

/// Reads `push --porcelain`: lines `!\tFROM:TO\t[rejected] (reason)` (git-push(1), OUTPUT).
fn read_answer(output: &str, words: &str) -> PushAnswer {
    let rejected: Vec<String> = output
        .lines()
        .filter_map(|line| line.strip_prefix("!\t"))
        .filter_map(|line| line.split('\t').nth(1))
        .map(str::to_ascii_lowercase)
        .collect();
    let causes: Vec<&String> =
        rejected.iter().filter(|reason| !COMPANIONS.iter().any(|known| reason.contains(known))).collect();
    let all_are = |known: &[&str]| causes.iter().all(|reason| known.iter().any(|word| reason.contains(word)));
    if rejected.is_empty() {
        return PushAnswer::Silence(words.to_owned());
    }
    let shown = if causes.is_empty() { rejected.iter().collect() } else { causes.clone() };
    let reasons = clean(&shown.iter().map(|reason| reason.as_str()).collect::<Vec<_>>().join("\n"));
    let said = format!("{words}\n{reasons}").trim().to_owned();
    // An atomic push that failed as a whole names no cause: whether somebody was faster shows the next look.
    if all_are(&RACES) {
        return PushAnswer::Race(said);
    }
    if all_are(&PASSING) { PushAnswer::Silence(said) } else { PushAnswer::Refused(said) }
}

/// Whether git's words mean that trying again is pointless: who we are, or where it is, is wrong.
pub(crate) fn is_hopeless(words: &str) -> bool {
    const SIGNS: [&str; 14] = [
        "authentication failed",
        "permission denied",
        "permission to ",
        "could not read username",
        "could not read password",
        "terminal prompts disabled",
        "host key verification failed",
        "does not appear to be a git repository",
        "repository not found",
        "no such remote",
        "does not exist",
        "error: 401",
        "error: 403",
        "is not a git command",
    ];
    let words = words.to_ascii_lowercase();
    SIGNS.iter().any(|sign| words.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_branch_is_a_race_and_a_hook_is_a_refusal() {
        let moved = "To /r\n!\tabc:refs/heads/main\t[rejected] (fetch first)\n!\tdef:refs/tags/t\t[rejected] (atomic push failed)\nDone\n";
        assert!(matches!(read_answer(moved, ""), PushAnswer::Race(_)));
        let locked =
            "!\ta:refs/heads/main\t[remote rejected] (cannot lock ref 'refs/heads/main': is at b but expected c)\n";
        assert!(matches!(read_answer(locked, ""), PushAnswer::Race(_)));
        let whole = "!\ta:refs/heads/main\t[remote rejected] (atomic transaction failed)\n";
        let said = read_answer(whole, "remote: error: 'refs/tags/base' exists");
        assert!(
            matches!(said, PushAnswer::Race(words) if words.contains("refs/tags/base") && words.contains("atomic transaction"))
        );
        let hook = "!\ta:refs/heads/main\t[remote rejected] (pre-receive hook declined)\n";
        assert!(
            matches!(read_answer(hook, "remote: signed commits only"), PushAnswer::Refused(w) if w.contains("signed commits only"))
        );
        let full = "!\ta:refs/heads/main\t[remote rejected] (unpacker error)\n";
        assert!(matches!(read_answer(full, ""), PushAnswer::Silence(_)));
        assert!(matches!(read_answer("", "fatal: the remote end hung up unexpectedly"), PushAnswer::Silence(_)));
    }

    #[test]
    fn wrong_credentials_are_not_retried() {
        assert!(is_hopeless("fatal: Authentication failed for 'https://git.example/'"));
        assert!(!is_hopeless("fatal: the remote end hung up unexpectedly"));
    }
}
