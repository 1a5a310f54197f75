//! A folder to build in and Packer to do it. It owns the plugin folder with the `assay` under test installed as users install it.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use tempfile::TempDir;

use super::{cloud::Cloud, tools};

/// What a build's template may be.
pub(crate) const SURROGATE: &str = include_str!("../templates/surrogate.pkr.hcl");

/// A work folder with templates, suites, plugins and the environment that Packer runs in.
pub(crate) struct Workshop {
    folder: TempDir,
    environment: Vec<(String, String)>,
    packer: PathBuf,
}

/// What a finished Packer said.
pub(crate) struct Built {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// stdout and stderr, in that order.
    pub text: String,
}

impl Workshop {
    /// A folder like a fresh clone's: `packer/`, `assay.hcl`, plugins installed; credentials of the cloud's usual account.
    pub(crate) fn new(cloud: &Cloud) -> Self {
        Self::with_packer(cloud, "recent")
    }

    /// The same for another Packer, see [`tools::packer`].
    pub(crate) fn with_packer(cloud: &Cloud, version: &str) -> Self {
        Self::in_environment(cloud.environment("main"), version)
    }

    /// The same without any cloud: for what is offline.
    pub(crate) fn offline(version: &str) -> Self {
        // A region and keys that nobody knows, so that nothing is asked of this machine's own configuration.
        let environment = [
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AWS_ACCESS_KEY_ID", "offline"),
            ("AWS_SECRET_ACCESS_KEY", "offline"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        Self::in_environment(environment.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(), version)
    }

    fn in_environment(mut environment: Vec<(String, String)>, version: &str) -> Self {
        let folder = TempDir::with_prefix("assay-build-").expect("a folder");
        for name in ["packer", "assay.hcl"] {
            tools::copy(&tools::root().join(name), folder.path());
        }
        let plugins = folder.path().join("plugins");
        tools::copy(&tools::plugins(), &plugins);
        let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        environment.extend([
            ("PACKER_PLUGIN_PATH".to_owned(), text(&plugins)),
            ("CHECKPOINT_DISABLE".to_owned(), "1".to_owned()),
            ("XDG_STATE_HOME".to_owned(), text(&folder.path().join("state"))),
            ("PACKER_CONFIG_DIR".to_owned(), text(&folder.path().join("config"))),
        ]);
        let workshop = Self { folder, environment, packer: tools::packer(version) };
        let mut arguments = vec!["packer", "install"];
        if version.starts_with("1.7.") {
            arguments.push("--legacy");
        }
        let installed = workshop.command(&tools::assay()).args(arguments).output().expect("assay runs");
        assert!(installed.status.success(), "assay packer install: {}", String::from_utf8_lossy(&installed.stderr));
        workshop
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(path, text).expect("written");
    }

    /// Reads a file of the folder.
    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.path().join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Sets an environment variable for every command from here on.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.environment.retain(|(k, _)| k != key);
        self.environment.push((key.to_owned(), value.to_owned()));
    }

    /// A command in this folder and environment, with no standard input.
    pub(crate) fn command(&self, program: &Path) -> Command {
        // A shell without job control starts what runs in the background with SIGINT ignored, and assay respects that: not in tests of interrupts.
        let mut command = Command::new("env");
        command.arg("--default-signal=INT,TERM,HUP").arg(program);
        command.current_dir(self.path()).stdin(Stdio::null()).env_clear().envs(tools::own_environment());
        command.envs(self.environment.iter().cloned());
        command
    }

    /// `assay …` in this folder.
    pub(crate) fn assay(&self, arguments: &[&str]) -> Output {
        self.command(&tools::assay()).args(arguments).output().expect("assay runs")
    }

    /// `packer …` to its end.
    pub(crate) fn packer(&self, arguments: &[&str]) -> Built {
        let output = self.command(&self.packer).args(arguments).output().expect("Packer runs");
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Built { code: output.status.code(), text }
    }

    /// `packer …` left running, its output in `packer.log` of the folder, in a process group of its own.
    pub(crate) fn packer_in_background(&self, arguments: &[&str]) -> Child {
        use std::os::unix::process::CommandExt;
        let log = std::fs::File::create(self.path().join("packer.log")).expect("a log");
        self.command(&self.packer)
            .args(arguments)
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("Packer starts")
    }

    /// Builds the shipped base template with the given extra arguments.
    pub(crate) fn build_base(&self, extra: &[&str]) -> Built {
        let mut arguments = vec!["build", "-color=false", "-var", "ssh_source_cidrs=[\"127.0.0.1/32\"]"];
        arguments.extend(extra);
        arguments.push("packer/base.pkr.hcl");
        self.packer(&arguments)
    }

    /// Hands `amis` (`region:ami-…,…`) to assay as an ebssurrogate artifact. `settings` are lines of the post-processor's block.
    pub(crate) fn build_surrogate(&self, amis: &str, settings: &str) -> Built {
        self.write("surrogate.pkr.hcl", &SURROGATE.replace("@SETTINGS@", settings));
        self.packer(&["build", "-color=false", "-var", &format!("ami={amis}"), "surrogate.pkr.hcl"])
    }
}

impl Built {
    /// Panics with all of the output unless the exit code is `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "Packer's exit code; its output:\n{}", self.text);
        self
    }

    /// Panics with all of the output unless it holds `words`.
    #[track_caller]
    pub(crate) fn says(&self, words: &str) -> &Self {
        assert!(self.text.contains(words), "expected {words:?} in:\n{}", self.text);
        self
    }
}
