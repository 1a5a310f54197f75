//! A real OpenSSH server on a loopback port, with keys of its own, run as the current user, for tests of everything
//! that speaks SSH. Gone when dropped.

#![allow(dead_code, missing_docs, reason = "each test binary uses a part of it")]

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rand_core::OsRng;
use ssh_key::{Algorithm, LineEnding, PrivateKey};

pub(crate) struct Sshd {
    child: Child,
    folder: tempfile::TempDir,
    pub address: SocketAddr,
    /// `ssh-ed25519 AAAA…`
    pub host_key: String,
    /// The key that may log in, as OpenSSH text.
    pub client_key: String,
    /// The current user, who is the one to log in.
    pub user: String,
}

impl Sshd {
    /// Starts a server that lets `client_key` in.
    pub(crate) fn start() -> Self {
        let sshd = Self::start_locked("");
        sshd.unlock();
        sshd
    }

    /// Starts a server that lets nobody in until [`Sshd::unlock`]; `config` is added to its configuration.
    pub(crate) fn start_locked(config: &str) -> Self {
        let program = program();
        let folder = tempfile::tempdir().expect("a folder for sshd");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("readable by sshd's children");
        let host = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).expect("a host key");
        let client = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).expect("a client key");
        let text = |key: &PrivateKey| key.to_openssh(LineEnding::LF).expect("OpenSSH text").to_string();
        let host_file = folder.path().join("host_key");
        fs::write(&host_file, text(&host)).expect("written");
        fs::set_permissions(&host_file, fs::Permissions::from_mode(0o600)).expect("private");
        fs::write(folder.path().join("client.pub"), client.public_key().to_openssh().expect("OpenSSH text"))
            .expect("written");
        if Path::new("/proc/self").exists() && is_root() {
            // sshd's privilege separation; systemd makes it where sshd is a service.
            fs::create_dir_all("/run/sshd").expect("/run/sshd");
        }
        let (child, address) = listen(&program, folder.path(), config);
        let line = |key: &PrivateKey| {
            let text = key.public_key().to_openssh().expect("OpenSSH text");
            text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
        };
        Self { child, folder, address, host_key: line(&host), client_key: text(&client), user: user() }
    }

    /// Lets the client key in, as cloud-init does at some time of the boot.
    pub(crate) fn unlock(&self) {
        fs::copy(self.folder.path().join("client.pub"), self.folder.path().join("authorized_keys")).expect("copied");
    }

    /// A folder of the server's own, for files to test.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends every session at once, without a goodbye.
    pub(crate) fn kill_sessions(&self) {
        for pid in children(self.child.id()) {
            for grandchild in children(pid) {
                kill(grandchild);
            }
            kill(pid);
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.kill_sessions();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(program: &Path, folder: &Path, config: &str) -> (Child, SocketAddr) {
    for _ in 0..5 {
        let address = free_port();
        let path = folder.join("sshd_config");
        let keys = folder.join("authorized_keys");
        let text = format!(
            "{config}\nListenAddress 127.0.0.1\nPort {}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 100\nMaxAuthTries 10\nSetEnv HOME={}\n",
            address.port(),
            folder.join("host_key").display(),
            keys.display(),
            // Else the user's own start-up files would be run for every session (bash reads ~/.bashrc under sshd).
            folder.display()
        );
        fs::write(&path, text).expect("written");
        let log = fs::File::create(folder.join("log")).expect("a log");
        let mut child = Command::new(program)
            .args(["-D", "-e", "-f"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sshd starts");
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            if TcpStream::connect(address).is_ok() {
                return (child, address);
            }
            if child.try_wait().expect("its state").is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
    panic!("sshd does not start: {}", fs::read_to_string(folder.join("log")).unwrap_or_default());
}

/// A loopback address that nothing listens on at this moment.
pub(crate) fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address")
}

fn program() -> PathBuf {
    ["/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd"]
        .iter()
        .map(PathBuf::from)
        .find(|p| p.exists())
        .expect("this test needs OpenSSH's server: apt-get install openssh-server")
}

fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id");
    String::from_utf8(output.stdout).expect("a name").trim().to_owned()
}

pub(crate) fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// The processes whose parent is `pid` (proc(5): the fourth field of stat, after the name in parentheses).
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent =
            stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)).and_then(|p| p.parse::<u32>().ok());
        if parent == Some(pid) {
            found.push(child);
        }
    }
    found
}

fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}
