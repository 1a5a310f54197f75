//! The lock file of one image, `images/<image>.lock.hcl` on the protected branch: which AMIs are gold, and how they came to be. It owns the
//! fields and what they amount to; only main-only jobs write one, `ledger` owns the HCL text and the digest of an entry.

use serde::{Deserialize, Serialize};

use super::{
    ami::{AmiRecord, AmiRef},
    candidate::Candidate,
    history::ImageHistory,
    ids::{Digest, ImageName, RunId},
    state::ImageState,
};

/// A lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// The image line.
    pub image: ImageName,
    /// The run whose AMIs are gold; none before the first promotion, and after a gold was revoked.
    pub gold: Option<RunId>,
    /// What happened, oldest first.
    pub entries: Vec<LockEntry>,
    /// How the first of them stand in the file that they were read from.
    #[serde(skip)]
    written: WrittenEntries,
}

/// Entries as they stand in a lock file, each at the left margin. The chain is over these bytes, whichever version of assay wrote them. They are no part of what the
/// lock says: two locks that say the same are equal.
#[derive(Debug, Clone, Default)]
struct WrittenEntries(Vec<String>);

impl PartialEq for WrittenEntries {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for WrittenEntries {}

/// One entry: a run that reached a state on the protected branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockEntry {
    /// The run.
    pub run: RunId,
    /// The state that this entry gives it: vetted, gold, retired, revoked or rejected.
    pub state: ImageState,
    /// Who asked: a CI job's URL or a person.
    pub by: String,
    /// When, RFC 3339 UTC.
    pub at: String,
    /// Why, in the user's words.
    pub reason: String,
    /// Digest of the validation's evidence, where this entry rests on one.
    pub evidence: Option<Digest>,
    /// From when on it holds, RFC 3339 UTC: a revocation that was announced. Absent: at once.
    pub effective_at: Option<String>,
    /// Digest of the entry before this one; none for the first.
    pub previous: Option<Digest>,
    /// The candidate as it was moved in; only in the run's first entry.
    pub candidate: Option<Candidate>,
    /// AMIs that were copied for this move.
    pub copies: Vec<LockCopy>,
}

/// An AMI that promotion copied to a further region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockCopy {
    /// What EC2 says of the copy.
    pub record: AmiRecord,
    /// The tested AMI that it was copied from.
    pub of: AmiRef,
}

impl LockCopy {
    /// Whether it is of the same AMI, in the same region.
    pub fn replaces(&self, other: &Self) -> bool {
        self.of == other.of && self.record.ami.region == other.record.ami.region
    }
}

impl Lock {
    /// A lock in which nothing has happened yet.
    pub fn new(image: ImageName) -> Self {
        Self { image, gold: None, entries: Vec::new(), written: WrittenEntries::default() }
    }

    /// Takes in the next entry that a lock file holds, with its text at the left margin.
    pub fn push_read(&mut self, entry: LockEntry, text: String) {
        self.entries.push(entry);
        self.written.0.push(text);
    }

    /// How an entry stands in the file that it was read from; none for one that was added since.
    pub fn text_as_read(&self, index: usize) -> Option<&str> {
        self.written.0.get(index).map(String::as_str)
    }

    /// The runs in it, in the order in which they came in.
    pub fn runs(&self) -> Vec<RunId> {
        self.entries.iter().filter(|entry| entry.candidate.is_some()).map(|entry| entry.run).collect()
    }

    /// The last entry of a run.
    pub fn last(&self, run: RunId) -> Option<&LockEntry> {
        self.entries.iter().rev().find(|entry| entry.run == run)
    }

    /// The state of a run, as its last entry says; `None`: the run is not in the lock.
    pub fn state_of(&self, run: RunId) -> Option<ImageState> {
        self.last(run).map(|entry| entry.state)
    }

    /// A run as it was moved in.
    pub fn candidate(&self, run: RunId) -> Option<&Candidate> {
        self.entries.iter().filter(|entry| entry.run == run).find_map(|entry| entry.candidate.as_ref())
    }

    /// The digest of the validation's evidence that a run rests on: that of its last entry which names one.
    pub fn evidence_of(&self, run: RunId) -> Option<&Digest> {
        self.entries.iter().rev().filter(|entry| entry.run == run).find_map(|entry| entry.evidence.as_ref())
    }

    /// The copies of a run's AMIs, oldest first. One that was made in the place of a lost one counts instead of it.
    pub fn copies(&self, run: RunId) -> impl Iterator<Item = &LockCopy> {
        let all = move || self.entries.iter().filter(move |entry| entry.run == run).flat_map(|entry| &entry.copies);
        all()
            .enumerate()
            .filter(move |(place, copy)| !all().skip(place + 1).any(|later| later.replaces(copy)))
            .map(|(_, copy)| copy)
    }

    /// Every AMI of a run: those that were tested, then the copies.
    pub fn amis(&self, run: RunId) -> Vec<AmiRecord> {
        let tested =
            self.candidate(run).into_iter().flat_map(|candidate| &candidate.amis).map(|ami| ami.record.clone());
        tested.chain(self.copies(run).map(|copy| copy.record.clone())).collect()
    }

    /// Whether a run was gold at some time.
    pub fn was_gold(&self, run: RunId) -> bool {
        self.entries.iter().any(|entry| entry.run == run && entry.state == ImageState::Gold)
    }

    /// The run that a rollback brings back, see [`ImageHistory::way_back`].
    pub fn rollback_target(&self) -> Option<RunId> {
        ImageHistory::of(self, &[]).way_back()
    }

    /// When a run became gold the last time, RFC 3339 UTC.
    pub fn gold_since(&self, run: RunId) -> Option<&str> {
        self.entries
            .iter()
            .rev()
            .find(|entry| entry.run == run && entry.state == ImageState::Gold)
            .map(|entry| entry.at.as_str())
    }

    /// Whether a run must not be used at `now`: revoked, and the time that its revocation names has come. An announced revocation may be put off by a further
    /// entry; one that held already when that was made holds for ever.
    pub fn is_revoked(&self, run: RunId, now: jiff::Timestamp) -> bool {
        let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
        let mut until = Some(now);
        let revocations = self
            .entries
            .iter()
            .rev()
            .filter(|entry| entry.run == run)
            .take_while(|entry| entry.state == ImageState::Revoked);
        for entry in revocations {
            let due = entry.effective_at.as_deref().and_then(time);
            if due.is_none() || until.is_none() || due <= until {
                return true;
            }
            until = time(&entry.at);
        }
        false
    }
}
