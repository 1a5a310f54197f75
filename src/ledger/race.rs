//! One push race: look at the remote, bring its tip here, push what was made on top, and start over where another writer was faster or the
//! remote said nothing. It owns patience, pauses and what silence means; it refuses to know what is pushed (`commit`, `write`), and to force.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    time::{Duration, Instant},
};

use super::{
    commit::{LedgerError, Patience},
    git::GitError,
    remote::{PushAnswer, References, is_hopeless},
    repository::Repository,
    words::redact,
};

/// How often the remote may be silent before that is the answer.
const MOST_SILENCES: u32 = 4;
/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// The state of one race.
#[derive(Debug)]
pub struct Race {
    repository: Repository,
    remote: String,
    patience: Patience,
    started: Instant,
    looked: Instant,
    /// How long the last try took from its look to the remote's answer: in this time another writer gets in between.
    window: Duration,
    tries: u32,
    silences: u32,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// The remote took everything; its own words, empty where it said none.
    Done(String),
    /// Another writer was faster.
    Raced,
    /// No answer: it may have been taken.
    Unknown,
}

impl Race {
    /// A race towards a remote (a name or URL).
    pub fn new(repository: Repository, remote: String, patience: Patience) -> Self {
        let now = Instant::now();
        Self { repository, remote, patience, started: now, looked: now, window: Duration::ZERO, tries: 0, silences: 0 }
    }

    /// Where it is run.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The remote without credentials.
    pub fn shown_remote(&self) -> String {
        redact(&self.remote)
    }

    /// How many pushes were tried.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// What the remote has under these names or patterns, all at one moment. `None`: it said nothing, look again.
    pub async fn references(&mut self, names: &[&str]) -> Result<Option<References>, LedgerError> {
        self.looked = Instant::now();
        match self.repository.remote_references(&self.remote, names).await {
            Ok(references) => Ok(Some(references)),
            Err(error) => self.no_answer(error).map(|()| None),
        }
    }

    /// Brings a commit that the remote has under `reference` here. False: it said nothing, or has another one by now; look again.
    pub async fn bring(&mut self, reference: &str, commit: &str) -> Result<bool, LedgerError> {
        if self.commit_of(commit).await?.is_some() {
            return Ok(true);
        }
        if let Err(error) = self.repository.fetch(&self.remote, reference).await {
            return self.no_answer(error).map(|()| false);
        }
        let here = self.commit_of(commit).await?.is_some();
        if !here {
            // Rewritten between the two calls.
            self.tries += 1;
        }
        Ok(here)
    }

    /// The commit behind a name, if it is here.
    pub async fn commit_of(&self, name: &str) -> Result<Option<String>, LedgerError> {
        self.repository.commit_of(name).await.map_err(|source| LedgerError::git(&self.repository, source))
    }

    /// Whether the first commit is the second or one of its ancestors, as far as the history is here.
    pub async fn is_ancestor(&self, first: &str, second: &str) -> Result<bool, LedgerError> {
        let answer = self.repository.is_ancestor(first, second).await;
        answer.map_err(|source| LedgerError::git(&self.repository, source))
    }

    /// Pushes to `branch` and what goes with it, all or none where the remote can do that. Fails where it will not have it.
    pub async fn push(&mut self, branch: &str, refspecs: &[String]) -> Result<Sent, LedgerError> {
        self.tries += 1;
        let answer = self.repository.push(&self.remote, refspecs).await;
        self.window = self.looked.elapsed();
        match answer.map_err(|error| LedgerError::plan(branch, error))? {
            PushAnswer::Done(words) => Ok(Sent::Done(words)),
            PushAnswer::Race => Ok(Sent::Raced),
            PushAnswer::Refused(words) => {
                Err(LedgerError::Refused { remote: self.shown_remote(), branch: branch.to_owned(), words })
            }
            PushAnswer::Silence(words) => self.silence(words).map(|()| Sent::Unknown),
        }
    }

    /// Whether the remote's tag `reference` is an annotated tag of this name with this message, signed or not. Brings it here.
    pub async fn holds_message(
        &mut self,
        references: &References,
        name: &str,
        message: &str,
    ) -> Result<bool, LedgerError> {
        let reference = format!("refs/tags/{name}");
        let Some(object) = references.get(&reference) else { return Ok(false) };
        if !references.contains_key(&format!("{reference}^{{}}")) {
            return Ok(false);
        }
        let in_git = |source| LedgerError::git(&self.repository, source);
        let mut text = self.repository.tag_text(object).await.map_err(in_git)?;
        if text.is_none() {
            self.repository.fetch(&self.remote, &reference).await.map_err(in_git)?;
            text = self.repository.tag_text(object).await.map_err(in_git)?;
        }
        Ok(text.is_some_and(|text| is_tag(&text, name, message)))
    }

    /// Waits before the next look; fails where patience is over.
    pub async fn wait(&self, branch: &str) -> Result<(), LedgerError> {
        if self.tries >= self.patience.tries.max(1) && self.started.elapsed() >= self.patience.time {
            let (remote, branch) = (self.shown_remote(), branch.to_owned());
            return Err(LedgerError::Raced { remote, branch, tries: self.tries });
        }
        tokio::time::sleep(pause(self.window, self.tries + self.silences)).await;
        Ok(())
    }

    fn no_answer(&mut self, error: GitError) -> Result<(), LedgerError> {
        let words = match error {
            GitError::Failed { words, .. } => words,
            GitError::Timeout { .. } => error.to_string(),
            source => return Err(LedgerError::git(&self.repository, source)),
        };
        self.silence(words)
    }

    fn silence(&mut self, words: String) -> Result<(), LedgerError> {
        self.silences += 1;
        if self.silences >= MOST_SILENCES || is_hopeless(&words) {
            return Err(LedgerError::Unreachable { remote: self.shown_remote(), words });
        }
        Ok(())
    }
}

/// Whether the text of a tag object (git-mktag(1)) has this name and message; a signature behind the message does not count.
pub(super) fn is_tag(text: &str, name: &str, message: &str) -> bool {
    let Some((head, body)) = text.split_once("\n\n") else { return false };
    let unsigned = body.find("-----BEGIN ").map_or(body, |place| &body[..place]);
    head.lines().any(|line| line.strip_prefix("tag ") == Some(name)) && unsigned.trim_end() == message.trim_end()
}

/// A random pause that grows with the number of tries. It is measured in windows: writers that collide on a slow remote must stand further
/// apart than those on a fast one.
fn pause(window: Duration, tries: u32) -> Duration {
    let step = window.max(Duration::from_millis(25));
    let longest = step.saturating_mul(1 << tries.min(6)).min(LONGEST_PAUSE);
    let random = RandomState::new().build_hasher().finish();
    longest.mul_f64(f64::from(u32::try_from(random >> 32).unwrap_or_default()) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_the_same_by_name_and_words_signed_or_not() {
        let text = "object 1\ntype commit\ntag base/gold/1\ntagger t <t@x> 0 +0000\n\nassay: base gold\n\n  by me\n";
        let signed = format!("{text}-----BEGIN SSH SIGNATURE-----\nx\n-----END SSH SIGNATURE-----\n");
        for text in [text, signed.as_str()] {
            assert!(is_tag(text, "base/gold/1", "assay: base gold\n\n  by me\n"), "{text}");
            assert!(!is_tag(text, "base/gold/2", "assay: base gold\n\n  by me\n"));
            assert!(!is_tag(text, "base/gold/1", "assay: base gold\n\n  by you\n"));
        }
    }

    #[test]
    fn pauses_are_bounded() {
        for tries in [0, 1, 6, 40] {
            assert!(pause(Duration::from_secs(180), tries) <= LONGEST_PAUSE);
            assert!(pause(Duration::ZERO, tries) <= Duration::from_millis(25 << 6));
        }
    }
}
