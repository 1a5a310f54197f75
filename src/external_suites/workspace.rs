//! Where an external suite runs: a temporary folder with a home, a copy of its tests, an ssh_config, the key for this one host, and a place for its
//! report. It owns what stands there and whose it is; the folder goes away when this is dropped.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, lchown, symlink},
    path::{Component, Path, PathBuf},
};

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::{
    ExternalSuite, HostAccess, SuitePreset, goss_files,
    preset::{self, ALIAS},
};
use assay_suite::ReadableFolders;

/// The most files, and the most bytes, that are copied.
const MOST_FILES: usize = 20_000;
const MOST_BYTES: u64 = 512 << 20;
/// A report larger than this is not read; the prober has the same limit.
const MOST_REPORT: u64 = 16 << 20;

/// A suite's own folder.
#[derive(Debug)]
pub(crate) struct SuiteWorkspace {
    folder: TempDir,
    /// Its tests in the copy.
    tests: Option<PathBuf>,
    /// Whose it is; `None`: assay's own user's.
    owner: Option<UserAccount>,
}

/// An account of /etc/passwd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UserAccount {
    pub uid: u32,
    pub gid: u32,
}

/// A new folder that only assay may look into.
pub(super) fn folder() -> Result<TempDir, String> {
    let made =
        tempfile::Builder::new().prefix("assay-external-").permissions(fs::Permissions::from_mode(0o700)).tempdir();
    made.map_err(|error| format!("no temporary folder can be made: {error}"))
}

impl SuiteWorkspace {
    /// Makes it in `folder`. Fails with a sentence.
    pub(crate) fn make(folder: TempDir, external: &ExternalSuite, host: &HostAccess) -> Result<Self, String> {
        let io = |what: &str| {
            let what = what.to_owned();
            move |error: std::io::Error| format!("{what}: {error}")
        };
        let owner = match rustix::process::geteuid().is_root() {
            true => Some(account(&external.run_as)?),
            false => None,
        };
        let mut workspace = Self { folder, tests: None, owner };
        fs::create_dir(workspace.home()).map_err(io("no home can be made"))?;
        workspace.tests = external.path.as_deref().map(|path| workspace.copy(path, external.preset)).transpose()?;
        workspace.write("key", host.private_key.expose_secret().as_bytes()).map_err(io("the key cannot be written"))?;
        let known = host.host_key.as_ref().map_or(String::new(), |key| format!("{ALIAS} {key}\n"));
        workspace.write("known_hosts", known.as_bytes()).map_err(io("known_hosts cannot be written"))?;
        if host.proxy_command.as_ref().is_some_and(|command| command.contains(['\n', '\r'])) {
            return Err("ssh_proxy_command has several lines, which OpenSSH's ProxyCommand cannot have".to_owned());
        }
        let config = ssh_config(host, workspace.folder.path());
        workspace.write("ssh_config", config.as_bytes()).map_err(io("ssh_config cannot be written"))?;
        workspace.give(workspace.folder.path()).map_err(io("the folder cannot be given to its user"))?;
        Ok(workspace)
    }

    /// Whether its user can work in it; a sentence where not.
    pub(super) fn is_usable(&self, external: &ExternalSuite) -> Result<(), String> {
        let by = self.owner.map_or(String::new(), |_| format!(" by user {:?} (run-as)", external.run_as));
        let place = std::env::temp_dir();
        let ran = |program: &str, arguments: &[&str]| {
            let mut command = std::process::Command::new(program);
            command
                .args(arguments)
                .current_dir("/")
                .stdin(std::process::Stdio::null())
                .stderr(std::process::Stdio::null());
            if let Some(owner) = self.owner {
                std::os::unix::process::CommandExt::uid(&mut command, owner.uid);
                std::os::unix::process::CommandExt::gid(&mut command, owner.gid);
            }
            command.status().is_ok_and(|status| status.success())
        };
        let home = self.home().display().to_string();
        let start = self.start().display().to_string();
        if !ran("/bin/sh", &["-c", "cd \"$1\" && cd \"$2\" && [ -w . ]", "sh", &start, &home]) {
            return Err(format!(
                "{} cannot be entered{by}: set TMPDIR to a folder whose parents may be entered by everybody",
                place.display()
            ));
        }
        if !preset::runs_own_program(external) {
            return Ok(());
        }
        let io = |error: std::io::Error| format!("{home}: {error}");
        let tried = self.home().join("tried");
        fs::write(&tried, "#!/bin/sh\nexit 0\n").map_err(io)?;
        fs::set_permissions(&tried, fs::Permissions::from_mode(0o755)).map_err(io)?;
        let runs = ran(&tried.display().to_string(), &[]);
        fs::remove_file(&tried).map_err(io)?;
        match runs {
            true => Ok(()),
            false => Err(format!(
                "programs in {} cannot be started{by} (is it mounted noexec?): set TMPDIR to another folder, or name an interpreter in command",
                place.display()
            )),
        }
    }

    /// The home.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// The folder that it is started in: that of its tests, else the home.
    pub(crate) fn start(&self) -> PathBuf {
        match &self.tests {
            Some(tests) if tests.is_dir() => tests.clone(),
            Some(tests) => tests.parent().map_or_else(|| self.home(), Path::to_owned),
            None => self.home(),
        }
    }

    /// Its tests, in the copy.
    pub(crate) fn tests(&self) -> Option<&Path> {
        self.tests.as_deref()
    }

    /// The ssh_config.
    pub(crate) fn ssh_config(&self) -> PathBuf {
        self.folder.path().join("ssh_config")
    }

    /// The private key.
    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    /// Where its report goes.
    pub(crate) fn report_path(&self) -> PathBuf {
        self.home().join("report")
    }

    /// The report; `None`: none was written, or it is too large to be one.
    pub(crate) fn report(&self) -> Option<Vec<u8>> {
        use std::io::Read;
        // A link could lead to a file that only assay may read.
        let path = self.report_path();
        let flags = rustix::fs::OFlags::NOFOLLOW.union(rustix::fs::OFlags::NONBLOCK).bits() as i32;
        let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
        // Nor may a hard link, or a file that stands where the suite has put a link to another folder.
        let told = file.metadata().ok()?;
        let own = self.owner.is_none_or(|owner| told.uid() == owner.uid);
        if !told.is_file() || told.nlink() != 1 || !own {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(MOST_REPORT + 1).read_to_end(&mut bytes).ok()?;
        (bytes.len() as u64 <= MOST_REPORT).then_some(bytes)
    }

    pub(super) fn owner(&self) -> Option<UserAccount> {
        self.owner
    }

    fn write(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        use std::io::Write;
        let path = self.folder.path().join(name);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        if !bytes.ends_with(b"\n") {
            file.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Copies a folder, or the folder of a file, which may need its neighbours (conftest.py, spec_helper.rb); of a goss file only what it names, since
    /// the copy goes to the host. Returns the path in the copy.
    fn copy(&self, path: &Path, preset: SuitePreset) -> Result<PathBuf, String> {
        let (from, file) = match path.is_dir() {
            true => (path, None),
            false => (path.parent().unwrap_or(Path::new("/")), path.file_name()),
        };
        let name = from.file_name().unwrap_or(OsStr::new("tests"));
        let to = self.folder.path().join("tests").join(name);
        let failed = |e: std::io::Error| format!("{} cannot be copied: {e}", from.display());
        let mut copy = TestsCopy { from, reader: self.owner, files: MOST_FILES, bytes: MOST_BYTES };
        if let (SuitePreset::Goss, Some(file)) = (preset, file) {
            copy.named(&goss_files::named_by(path).map_err(failed)?, &to).map_err(failed)?;
            return Ok(to.join(file));
        }
        copy.folder(from, &to, 0).map_err(failed)?;
        Ok(file.map_or_else(|| to.clone(), |file| to.join(file)))
    }

    /// Gives a tree to its user: what is in a folder before the folder, so that nobody can change what is walked; and never what a link leads to.
    fn give(&self, path: &Path) -> std::io::Result<()> {
        let Some(owner) = self.owner else { return Ok(()) };
        if fs::symlink_metadata(path)?.is_dir() {
            for entry in fs::read_dir(path)? {
                self.give(&entry?.path())?;
            }
        }
        lchown(path, Some(owner.uid), Some(owner.gid))
    }
}

/// A copy of a suite's tests in the making, within its bounds.
struct TestsCopy<'a> {
    from: &'a Path,
    /// Who will read it; `None`: assay's own user.
    reader: Option<UserAccount>,
    files: usize,
    bytes: u64,
}

impl TestsCopy<'_> {
    fn folder(&mut self, from: &Path, to: &Path, depth: usize) -> std::io::Result<()> {
        if depth > 32 {
            return Err(std::io::Error::other("nested too deep"));
        }
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let (source, target) = (entry.path(), to.join(entry.file_name()));
            let name = entry.file_name().to_string_lossy().into_owned();
            if matches!(name.as_str(), "__pycache__" | ".pytest_cache") || ReadableFolders::is_closed(&name) {
                continue;
            }
            self.files = self.files.checked_sub(1).ok_or_else(too_much)?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.folder(&source, &target, depth + 1)?;
            } else if kind.is_symlink() {
                self.refuse_leading_out(&source)?;
                symlink(fs::read_link(&source)?, &target)?;
            } else if kind.is_file() {
                self.file(&source, &target)?;
            }
        }
        Ok(())
    }

    /// These files alone, as paths from the folder.
    fn named(&mut self, named: &[PathBuf], to: &Path) -> std::io::Result<()> {
        for path in named {
            let target = to.join(path);
            fs::create_dir_all(target.parent().unwrap_or(to))?;
            self.file(&self.from.join(path), &target)?;
        }
        Ok(())
    }

    fn file(&mut self, source: &Path, target: &Path) -> std::io::Result<()> {
        use std::io::Read as _;
        // What is opened is what is judged: nothing else can be put in its place in between.
        let flags = rustix::fs::OFlags::NOFOLLOW.union(rustix::fs::OFlags::NONBLOCK).bits() as i32;
        let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(source)?;
        let told = file.metadata()?;
        if !self.reader.is_none_or(|reader| reader.may_read(&told)) {
            return Err(std::io::Error::other(format!(
                "{} is not for the user that the suite runs as to read (mode {:o}); open it with chmod o+r, or take it out of the folder",
                source.display(),
                told.mode() & 0o777
            )));
        }
        self.bytes = self.bytes.checked_sub(told.size()).ok_or_else(too_much)?;
        let mut copy = fs::File::create_new(target)?;
        std::io::copy(&mut file.take(told.size()), &mut copy)?;
        copy.set_permissions(fs::Permissions::from_mode(told.mode() & 0o777))
    }

    /// A link may lead to what is copied with it, and nowhere else.
    fn refuse_leading_out(&self, link: &Path) -> std::io::Result<()> {
        match link.canonicalize() {
            Ok(target) if !target.starts_with(self.from) => Err(std::io::Error::other(format!(
                "{} is a link that leads out of {}, to {}",
                link.display(),
                self.from.display(),
                target.display()
            ))),
            Ok(_) => Ok(()),
            // What leads nowhere gives nothing away, but what it is meant to lead to would not be in the copy.
            Err(_) => self.refuse_meant_for_outside(link),
        }
    }

    /// Of a link that leads to nothing: whether it would lead out of the folder, by its words.
    fn refuse_meant_for_outside(&self, link: &Path) -> std::io::Result<()> {
        let target = fs::read_link(link)?;
        let mut meant = link.parent().unwrap_or(self.from).to_owned();
        for part in target.components() {
            match part {
                Component::ParentDir => {
                    meant.pop();
                }
                Component::CurDir => {}
                part => meant.push(part),
            }
        }
        match meant.starts_with(self.from) {
            true => Ok(()),
            false => Err(std::io::Error::other(format!(
                "{} is a link to {}, which is outside of the folder and not copied with it",
                link.display(),
                target.display()
            ))),
        }
    }
}

fn too_much() -> std::io::Error {
    std::io::Error::other(format!("more than {MOST_FILES} files or {} MiB", MOST_BYTES >> 20))
}

impl UserAccount {
    /// Whether a file's mode lets this account read it.
    fn may_read(self, file: &fs::Metadata) -> bool {
        let mode = file.mode();
        mode & 0o004 != 0
            || (file.gid() == self.gid && mode & 0o040 != 0)
            || (file.uid() == self.uid && mode & 0o400 != 0)
    }
}

/// ssh_config(5) for this one host: its key pinned to what assay accepted, nothing of the user's own configuration.
fn ssh_config(host: &HostAccess, folder: &Path) -> String {
    let folder = folder.display();
    let checking = if host.host_key.is_some() { "yes" } else { "no" };
    // OpenSSH fills in % signs of its own, and takes the rest of one line.
    let command = host.proxy_command.as_ref().map(|command| command.replace('%', "%%"));
    let proxy = command.map_or(String::new(), |command| format!("  ProxyCommand {command}\n"));
    format!(
        "Host {ALIAS}\n  HostName {}\n  Port {}\n  User {}\n  IdentityFile {folder}/key\n  IdentitiesOnly yes\n  IdentityAgent none\n  \
         BatchMode yes\n  HostKeyAlias {ALIAS}\n  UserKnownHostsFile {folder}/known_hosts\n  GlobalKnownHostsFile /dev/null\n  \
         StrictHostKeyChecking {checking}\n  LogLevel ERROR\n  ConnectTimeout 20\n  ServerAliveInterval 15\n{proxy}",
        host.address, host.port, host.user
    )
}

/// An account of this machine (passwd(5)).
fn account(name: &str) -> Result<UserAccount, String> {
    let passwd = fs::read_to_string("/etc/passwd").map_err(|e| format!("/etc/passwd cannot be read: {e}"))?;
    let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == name);
    let number = |at: usize| fields.as_ref().and_then(|f| f.get(at)).and_then(|n| n.parse::<u32>().ok());
    match (number(2), number(3)) {
        (Some(0), Some(_)) => Err(format!("run-as: {name:?} is root; external suites never run as root")),
        (Some(uid), Some(gid)) => Ok(UserAccount { uid, gid }),
        _ => Err(format!("run-as: there is no user {name:?} in /etc/passwd")),
    }
}
