//! The record's file: one folder per process beneath its run, one line per event, each line on the disk before the next thing happens.
//! It owns durability and the replay of a file that a kill cut short; it refuses the network.
//!
//! Appending blocks the calling thread for one fsync. That is meant: the creating call behind it must wait for exactly that, and a
//! run writes a few dozen lines.

use std::{
    collections::BTreeSet,
    fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use super::{
    entry::{JOURNAL_SCHEMA, JournalEvent, JournalHeader, JournalReplay, JournalStep, JournaledKind, StepState},
    names::ResourceNames,
};
use assay_model::{AccountId, AmiRef, Region, RunId};

const FILE: &str = "journal.jsonl";

/// The record could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Neither XDG_STATE_HOME nor HOME says where.
    #[error("no place for the journal: set XDG_STATE_HOME or HOME to an absolute path")]
    NoPlace,
    /// A file operation failed.
    #[error("the journal {path} cannot be {action}: set XDG_STATE_HOME to a folder that can be written")]
    Io {
        /// What was being done.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file holds no header.
    #[error("{path} is no journal: its first line could not be read")]
    NoHeader {
        /// The file.
        path: PathBuf,
    },
}

/// `$XDG_STATE_HOME/assay`, or `~/.local/state/assay` (XDG Base Directory Specification; a relative value is to be ignored).
pub fn default_root() -> Result<PathBuf, JournalError> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("assay"))
        .ok_or(JournalError::NoPlace)
}

/// The record of one process. Shared by reference; every method may be called from any task.
pub struct Journal {
    dir: PathBuf,
    header: JournalHeader,
    names: ResourceNames,
    inner: Mutex<JournalState>,
}

/// Where lines go. A file; tests watch what is really on the disk.
pub(crate) trait JournalDisk: Write + Send {
    /// Returns when everything written so far survives a power cut.
    fn sync(&mut self) -> io::Result<()>;
}

impl JournalDisk for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

struct JournalState {
    /// Absent once the record is closed for good.
    file: Option<Box<dyn JournalDisk>>,
    /// The last line may have been written in part: it must not swallow the next one.
    torn: bool,
    replay: JournalReplay,
    last_number: u32,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Journal {
    /// A new record beneath `root` (see [`default_root`]), in `runs/<run>/<process>/`, open to its owner only.
    pub fn create(root: &Path, run: RunId, account: Option<AccountId>) -> Result<Self, JournalError> {
        Self::create_on(root, run, account, |file| Box::new(file))
    }

    pub(crate) fn create_on(
        root: &Path,
        run: RunId,
        account: Option<AccountId>,
        disk: impl FnOnce(File) -> Box<dyn JournalDisk>,
    ) -> Result<Self, JournalError> {
        let process = process_part();
        let dir = root.join("runs").join(run.to_string()).join(&process);
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::Io { action, path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(failed("created", &dir))?;
        let path = dir.join(FILE);
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed("created", &path))?;
        sync_folders(&dir, root).map_err(failed("made durable", &dir))?;
        let header = JournalHeader { run, process, account };
        let journal = Self {
            names: ResourceNames::new(&run, &header.process),
            dir,
            header: header.clone(),
            inner: Mutex::new(JournalState {
                file: Some(disk(file)),
                torn: false,
                replay: JournalReplay::default(),
                last_number: 0,
            }),
        };
        journal.append(JournalEvent::Opened { schema: JOURNAL_SCHEMA, header, at: Timestamp::now() })?;
        Ok(journal)
    }

    /// Reads a record that another process wrote and goes on with it. Lines that cannot be read are counted and passed over.
    pub fn reopen(dir: &Path) -> Result<Self, JournalError> {
        let path = dir.join(FILE);
        let failed = |action| {
            let path = path.clone();
            move |source| JournalError::Io { action, path, source }
        };
        let mut file = OpenOptions::new().read(true).append(true).open(&path).map_err(failed("opened"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed("read"))?;
        if bytes.last().is_some_and(|last| *last != b'\n') {
            // The torn line must not swallow the next one.
            file.write_all(b"\n").map_err(failed("written"))?;
        }
        let replay = replay(&bytes);
        let header = replay.header.clone().ok_or_else(|| JournalError::NoHeader { path: path.clone() })?;
        let names = ResourceNames::new(&header.run, &header.process);
        let last_number = replay.steps.keys().next_back().copied().unwrap_or(0);
        Ok(Self {
            dir: dir.to_owned(),
            header,
            names,
            inner: Mutex::new(JournalState { file: Some(Box::new(file)), torn: false, replay, last_number }),
        })
    }

    /// The folder of this record.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The names of this process.
    pub fn names(&self) -> &ResourceNames {
        &self.names
    }

    /// Whose record it is.
    pub fn header(&self) -> &JournalHeader {
        &self.header
    }

    /// Notes that something is about to be created and gives it its name. When this returns, the line is on the disk.
    /// When it fails, nothing may be created.
    pub fn intend(&self, kind: JournaledKind, region: &Region) -> Result<JournalStep, JournalError> {
        let number = self.next_number();
        self.intend_named(number, kind, region, self.names.of_step(region, number))
    }

    /// Notes a volume seen on an instance of ours, unless it is noted already.
    pub fn observe_volume(&self, region: &Region, id: &str) -> Result<(), JournalError> {
        let known = self.lock().replay.steps.values().any(|s| s.kind == JournaledKind::Volume && s.name == id);
        if known {
            return Ok(());
        }
        let step = self.intend_named(self.next_number(), JournaledKind::Volume, region, id.to_owned())?;
        self.created(step.number, id)
    }

    /// Notes the id that EC2 gave.
    pub fn created(&self, step: u32, id: &str) -> Result<(), JournalError> {
        self.append(JournalEvent::Created { step, id: id.to_owned() })
    }

    /// Notes that EC2 said no: there is nothing to undo.
    pub fn refused(&self, step: u32, reason: &str) -> Result<(), JournalError> {
        self.append(JournalEvent::Refused { step, reason: reason.to_owned() })
    }

    /// Notes that removal begins.
    pub fn undo_started(&self, step: u32) -> Result<(), JournalError> {
        self.append(JournalEvent::UndoStarted { step })
    }

    /// Notes that the cloud confirmed it gone.
    pub fn undone(&self, step: u32) -> Result<(), JournalError> {
        self.append(JournalEvent::Undone { step })
    }

    /// Notes that removal was given up.
    pub fn undo_failed(&self, step: u32, reason: &str) -> Result<(), JournalError> {
        self.append(JournalEvent::UndoFailed { step, reason: reason.to_owned() })
    }

    /// Notes that deregistration protection is about to be set on an AMI that did not have it. Neither undo nor the reaper nor a sweep
    /// ever lifts it.
    pub fn protecting(&self, ami: &AmiRef) -> Result<(), JournalError> {
        self.append(JournalEvent::Protecting { ami: ami.clone(), at: Timestamp::now() })
    }

    /// Notes that we lifted our own protection.
    pub fn unprotected(&self, ami: &AmiRef) -> Result<(), JournalError> {
        self.append(JournalEvent::Unprotected { ami: ami.clone() })
    }

    /// What may still exist, in the order of creation.
    pub fn open_steps(&self) -> Vec<JournalStep> {
        self.lock().replay.steps.values().filter(|s| s.state != StepState::Closed).cloned().collect()
    }

    /// The AMIs that carry a protection of ours.
    pub fn protections(&self) -> Vec<AmiRef> {
        self.lock().replay.protections.clone()
    }

    /// How many lines could not be read, or were not written whole.
    pub fn damaged(&self) -> usize {
        self.lock().replay.damaged
    }

    /// The regions that any line names.
    pub fn regions(&self) -> Vec<Region> {
        let regions: BTreeSet<Region> = self.lock().replay.steps.values().map(|step| step.region.clone()).collect();
        regions.into_iter().collect()
    }

    /// Ends the record. Its folder goes with it when it holds nothing that anybody could still need: no open step, no protection of
    /// ours, no damaged line.
    pub fn close(&self) -> Result<(), JournalError> {
        self.finish()?;
        if !self.open_steps().is_empty() || !self.protections().is_empty() || self.damaged() > 0 {
            return Ok(());
        }
        let failed = |source| JournalError::Io { action: "removed", path: self.dir.clone(), source };
        // On NFS a file that is open stays under another name when it is removed, and its folder with it.
        self.lock().file = None;
        fs::remove_dir_all(&self.dir).map_err(failed)?;
        // The run's folder goes with its last process; while another one has its record in it, this fails as it should.
        let _shared = self.dir.parent().map(fs::remove_dir);
        Ok(())
    }

    /// Ends the record and keeps it, for what can be learned from it.
    pub fn finish(&self) -> Result<(), JournalError> {
        self.append(JournalEvent::Closed { at: Timestamp::now() })
    }

    fn next_number(&self) -> u32 {
        let mut inner = self.lock();
        inner.last_number += 1;
        inner.last_number
    }

    fn intend_named(
        &self,
        number: u32,
        kind: JournaledKind,
        region: &Region,
        name: String,
    ) -> Result<JournalStep, JournalError> {
        let (region, at) = (region.clone(), Timestamp::now());
        let step = JournalStep {
            number,
            kind,
            region: region.clone(),
            name: name.clone(),
            id: None,
            at,
            state: StepState::Intended,
        };
        self.append(JournalEvent::Intent { step: number, kind, region, name, at })?;
        Ok(step)
    }

    /// Writes one line and waits until it is on the disk. What is in memory follows in any case: undo must know of a thing even when the
    /// disk is full.
    fn append(&self, event: JournalEvent) -> Result<(), JournalError> {
        let failed = |source| JournalError::Io { action: "written", path: self.dir.join(FILE), source };
        let line = serde_json::to_vec(&event).map_err(|e| failed(e.into()));
        let mut inner = self.lock();
        inner.replay.apply(event);
        let mut line = line?;
        line.push(b'\n');
        if inner.torn {
            line.insert(0, b'\n');
        }
        let Some(file) = inner.file.as_mut() else {
            return Err(failed(io::Error::other("the record is closed")));
        };
        let written = file.write_all(&line).and_then(|()| file.sync());
        inner.torn = written.is_err();
        inner.replay.damaged += usize::from(written.is_err());
        written.map_err(failed)
    }

    fn lock(&self) -> MutexGuard<'_, JournalState> {
        // A panic elsewhere must not stop the undo: the state is whole after every statement.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn replay(bytes: &[u8]) -> JournalReplay {
    let mut replay = JournalReplay::default();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(event) => replay.apply(event),
            Err(_) => replay.damaged += 1,
        }
    }
    replay
}

/// A new file is durable only when the folders that name it are (fsync(2)).
fn sync_folders(dir: &Path, root: &Path) -> io::Result<()> {
    for folder in dir.ancestors().take_while(|folder| folder.starts_with(root)) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Six characters that no other process of this run has: 30 random bits in Crockford's alphabet.
fn process_part() -> String {
    let random = ulid::Ulid::generate().to_string().to_ascii_lowercase();
    random[random.len() - 6..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region() -> Region {
        "us-east-1".parse().expect("a region")
    }

    fn journal(root: &Path) -> Journal {
        Journal::create(root, RunId::generate(), Some("123456789012".parse().expect("account"))).expect("a journal")
    }

    #[test]
    fn a_record_reads_back_as_it_was_left() {
        let root = tempfile::tempdir().expect("folder");
        let first = journal(root.path());
        let key = first.intend(JournaledKind::KeyPair, &region()).expect("line");
        let instance = first.intend(JournaledKind::Instance, &region()).expect("line");
        first.created(instance.number, "i-1").expect("line");
        let group = first.intend(JournaledKind::SecurityGroup, &region()).expect("line");
        first.refused(group.number, "no").expect("line");
        first.observe_volume(&region(), "vol-1").expect("line");
        first.observe_volume(&region(), "vol-1").expect("no second line");
        let again = Journal::reopen(first.dir()).expect("reads");
        assert_eq!(again.header(), first.header());
        assert_eq!(again.open_steps(), first.open_steps());
        let open: Vec<(JournaledKind, Option<String>)> =
            again.open_steps().into_iter().map(|s| (s.kind, s.id)).collect();
        let id = |id: &str| Some(id.to_owned());
        assert_eq!(
            open,
            [
                (JournaledKind::KeyPair, None),
                (JournaledKind::Instance, id("i-1")),
                (JournaledKind::Volume, id("vol-1"))
            ]
        );
        again.undone(key.number).expect("line");
        let next = again.intend(JournaledKind::KeyPair, &region()).expect("line");
        assert!(next.number > 4 && next.name != key.name, "{next:?}");
    }

    /// A disk that is full in the middle of one line, and has room again for the next.
    struct FullOnce {
        file: File,
        at: usize,
        lines: usize,
    }

    impl Write for FullOnce {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.lines += 1;
            match self.lines.cmp(&self.at) {
                std::cmp::Ordering::Less => self.file.write(bytes),
                std::cmp::Ordering::Equal => self.file.write(&bytes[..10]),
                std::cmp::Ordering::Greater if self.lines == self.at + 1 => Err(io::ErrorKind::StorageFull.into()),
                std::cmp::Ordering::Greater => self.file.write(bytes),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            self.file.flush()
        }
    }

    impl JournalDisk for FullOnce {
        fn sync(&mut self) -> io::Result<()> {
            self.file.sync_data()
        }
    }

    #[test]
    fn a_line_that_was_written_in_part_does_not_swallow_the_next() {
        let root = tempfile::tempdir().expect("folder");
        let disk = |file| Box::new(FullOnce { file, at: 2, lines: 0 }) as Box<dyn JournalDisk>;
        let first = Journal::create_on(root.path(), RunId::generate(), None, disk).expect("a journal");
        first.intend(JournaledKind::KeyPair, &region()).expect_err("the disk is full");
        assert_eq!(first.damaged(), 1);
        let group = first.intend(JournaledKind::SecurityGroup, &region()).expect("there is room again");
        let again = Journal::reopen(first.dir()).expect("reads");
        let found: Vec<(JournaledKind, String)> =
            again.open_steps().into_iter().map(|step| (step.kind, step.name)).collect();
        assert_eq!(found, [(JournaledKind::SecurityGroup, group.name)]);
        assert_eq!(again.damaged(), 1);
    }

    #[test]
    fn a_torn_last_line_neither_hurts_nor_swallows_the_next() {
        let root = tempfile::tempdir().expect("folder");
        let first = journal(root.path());
        let step = first.intend(JournaledKind::Instance, &region()).expect("line");
        let path = first.dir().join(FILE);
        let whole = fs::read(&path).expect("reads");
        let full = whole.len();
        let last_line = whole[..full - 1].iter().rposition(|b| *b == b'\n').expect("two lines") + 1;
        for length in last_line..full {
            fs::write(&path, &whole[..length]).expect("truncates");
            let torn = Journal::reopen(first.dir()).expect("reads");
            // Without its newline the line may still be whole; then it counts.
            let counts = usize::from(length == full - 1);
            assert_eq!(torn.open_steps().len(), counts, "{length}");
            assert_eq!(torn.damaged(), usize::from(length > last_line && counts == 0), "{length}");
            torn.intend(JournaledKind::KeyPair, &region()).expect("line");
            assert_eq!(Journal::reopen(first.dir()).expect("reads").open_steps().len(), counts + 1, "{length}");
        }
        assert_eq!(step.number, 1);
    }

    #[test]
    fn the_folder_is_its_owners_alone_and_goes_when_nothing_is_open() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().expect("folder");
        let first = journal(root.path());
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(first.dir()), mode(&first.dir().join(FILE))), (0o700, 0o600));
        let step = first.intend(JournaledKind::KeyPair, &region()).expect("line");
        first.close().expect("closes");
        assert!(first.dir().exists(), "an open step must stay on record");
        first.undone(step.number).expect("line");
        first.close().expect("closes");
        assert!(!first.dir().exists());
    }

    #[test]
    fn protections_are_kept_apart_from_what_undo_removes() {
        let root = tempfile::tempdir().expect("folder");
        let first = journal(root.path());
        let ami: AmiRef = "us-east-1:ami-0abcdef1234567890".parse().expect("an AMI");
        first.protecting(&ami).expect("line");
        assert_eq!(Journal::reopen(first.dir()).expect("reads").protections(), std::slice::from_ref(&ami));
        assert!(first.open_steps().is_empty());
        first.unprotected(&ami).expect("line");
        assert!(Journal::reopen(first.dir()).expect("reads").protections().is_empty());
    }
}
