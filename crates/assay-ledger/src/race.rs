//! One push race: look at the remote, bring its tip here, push what was made on top, and start over where another writer was faster or the
//! remote said nothing. It owns patience, pauses and what silence means; it refuses to know what is pushed (`commit`, `write`), and to force.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    time::{Duration, Instant},
};

use super::{
    commit::{LedgerError, RacePatience},
    git::GitError,
    remote::{PushAnswer, RemoteReferences, is_hopeless},
    repository::Repository,
    tag_place::{self, TagPlace},
    tag_statement,
    words::redact,
};

/// How often the remote may be silent before that is the answer.
const MOST_SILENCES: u32 = 4;
/// How often the remote may call it a race although nothing moved there. A reference that another writer holds for a moment is such a case; a rule that the
/// server does not name, a full disk or a reference that excludes ours stays.
const MOST_UNMOVED: u32 = 4;
/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// The state of one race.
#[derive(Debug)]
pub(crate) struct PushRace {
    repository: Repository,
    remote: String,
    patience: RacePatience,
    started: Instant,
    looked: Instant,
    /// How long the last try took from its look to the remote's answer: in this time another writer gets in between.
    window: Duration,
    tries: u32,
    silences: u32,
    /// What the last look found.
    seen: RemoteReferences,
    /// The branch and the remote's words of a push that it called a race, until the next look.
    rejected: Option<(String, String)>,
    /// How many such pushes in a row nothing had moved for.
    unmoved: u32,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PushOutcome {
    /// The remote took everything; its own words, empty where it said none.
    Done(String),
    /// Another writer was faster.
    Raced,
    /// No answer: it may have been taken.
    Unknown,
}

impl PushRace {
    /// A race towards a remote (a name or URL).
    pub(crate) fn new(repository: Repository, remote: String, patience: RacePatience) -> Self {
        let now = Instant::now();
        Self {
            repository,
            remote,
            patience,
            started: now,
            looked: now,
            window: Duration::ZERO,
            tries: 0,
            silences: 0,
            seen: RemoteReferences::new(),
            rejected: None,
            unmoved: 0,
        }
    }

    /// Where it is run.
    pub(crate) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The remote without credentials.
    pub(crate) fn shown_remote(&self) -> String {
        redact(&self.remote)
    }

    /// How many pushes were tried.
    pub(crate) fn tries(&self) -> u32 {
        self.tries
    }

    /// What the remote has under these names or patterns, all at one moment. `None`: it said nothing, look again. Fails where it called pushes a race and nothing
    /// moved: then it is something else.
    pub(crate) async fn references(&mut self, names: &[&str]) -> Result<Option<RemoteReferences>, LedgerError> {
        self.looked = Instant::now();
        let references = match self.repository.remote_references(&self.remote, names).await {
            Ok(references) => references,
            Err(error) => return self.no_answer(error).map(|()| None),
        };
        if let Some((branch, words)) = self.rejected.take() {
            self.unmoved = if references == self.seen { self.unmoved + 1 } else { 0 };
            if self.unmoved >= MOST_UNMOVED {
                return Err(LedgerError::Refused { remote: self.shown_remote(), branch, words });
            }
        }
        self.seen.clone_from(&references);
        Ok(Some(references))
    }

    /// Brings a commit that the remote has under `reference` here. False: it said nothing, or has another one by now; look again.
    pub(crate) async fn bring(&mut self, reference: &str, commit: &str) -> Result<bool, LedgerError> {
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
    pub(crate) async fn commit_of(&self, name: &str) -> Result<Option<String>, LedgerError> {
        self.repository.commit_of(name).await.map_err(|source| LedgerError::git(&self.repository, source))
    }

    /// Whether the first commit is the second or one of its ancestors, as far as the history is here.
    pub(crate) async fn is_ancestor(&self, first: &str, second: &str) -> Result<bool, LedgerError> {
        let answer = self.repository.is_ancestor(first, second).await;
        answer.map_err(|source| LedgerError::git(&self.repository, source))
    }

    /// Pushes to `branch` and what goes with it, all or none where the remote can do that. Fails where it will not have it.
    pub(crate) async fn push(&mut self, branch: &str, refspecs: &[String]) -> Result<PushOutcome, LedgerError> {
        self.tries += 1;
        let answer = self.repository.push(&self.remote, refspecs).await;
        self.window = self.looked.elapsed();
        match answer.map_err(|error| LedgerError::plan(branch, error))? {
            PushAnswer::Done(words) => Ok(PushOutcome::Done(words)),
            PushAnswer::Race(words) => {
                self.rejected = Some((branch.to_owned(), words));
                Ok(PushOutcome::Raced)
            }
            PushAnswer::Refused(words) => {
                Err(LedgerError::Refused { remote: self.shown_remote(), branch: branch.to_owned(), words })
            }
            PushAnswer::Silence(words) => self.silence(words).map(|()| PushOutcome::Unknown),
        }
    }

    /// The text of the remote's annotated tag of this name, brought here. `Some(None)`: it is no annotated tag. `None`: the remote said nothing, look again.
    pub(crate) async fn tag_text(
        &mut self,
        references: &RemoteReferences,
        name: &str,
    ) -> Result<Option<Option<String>>, LedgerError> {
        let reference = format!("refs/tags/{name}");
        let Some(object) = references.get(&reference) else { return Ok(Some(None)) };
        if !references.contains_key(&format!("{reference}^{{}}")) {
            return Ok(Some(None));
        }
        let text = self.repository.tag_text(object).await;
        let text = text.map_err(|source| LedgerError::git(&self.repository, source))?;
        if text.is_some() {
            return Ok(Some(text));
        }
        if let Err(error) = self.repository.fetch(&self.remote, &reference).await {
            return self.no_answer(error).map(|()| None);
        }
        let text = self.repository.tag_text(object).await;
        text.map(Some).map_err(|source| LedgerError::git(&self.repository, source))
    }

    /// Where the tag that is due under `name` with `message` is, or goes, and warnings. `None`: look again.
    pub(crate) async fn tag_place(
        &mut self,
        references: &RemoteReferences,
        name: &str,
        message: &str,
    ) -> Result<Option<(TagPlace, Vec<String>)>, LedgerError> {
        let says = async |name: &str| {
            let text = self.tag_text(references, name).await?;
            Ok(text.map(|text| text.is_some_and(|text| tag_statement::says(&text, name, message))))
        };
        tag_place::find(references, name, says).await
    }

    /// Waits before the next look; fails where patience is over.
    pub(crate) async fn wait(&self, branch: &str) -> Result<(), LedgerError> {
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
    fn pauses_are_bounded() {
        for tries in [0, 1, 6, 40] {
            assert!(pause(Duration::from_secs(180), tries) <= LONGEST_PAUSE);
            assert!(pause(Duration::ZERO, tries) <= Duration::from_millis(25 << 6));
        }
    }
}
