//! Packer as a program: its version, its command lines, its life. It owns how it is started and interrupted; its output is the user's and passes
//! through; it refuses to read it.

use std::{
    ffi::OsString,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};

use crate::{
    orphan_watch::{OrphanEnd, OrphanWatch},
    report::outcomes,
    signals::{EndRequest, EndRequests},
};
use assay_config::file::BuildDecl;
use assay_model::escape::{bounded, escape_bytes};

/// The oldest Packer that knows `packer init` and HCL2 templates without a warning.
pub(crate) const OLDEST: (u64, u64) = (1, 7);
/// How long `packer version` may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// One call of Packer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PackerStep {
    /// `init` or `build`.
    pub verb: &'static str,
    /// Everything after the program's name.
    pub arguments: Vec<OsString>,
}

impl PackerStep {
    /// The call as a shell would take it. The values of variables are left out: one may be a secret, and this goes into logs.
    pub(crate) fn line(&self) -> String {
        let mut words = vec!["packer".to_owned()];
        let mut is_variable = false;
        for argument in &self.arguments {
            let argument = argument.to_string_lossy();
            words.push(quoted(&match is_variable {
                true => without_value(&argument),
                false => match argument.split_once('=') {
                    Some((flag @ ("-var" | "--var"), variable)) => format!("{flag}={}", without_value(variable)),
                    _ => argument.to_string(),
                },
            }));
            is_variable = !is_variable && matches!(argument.as_ref(), "-var" | "--var");
        }
        words.join(" ")
    }
}

/// `NAME=…`.
fn without_value(variable: &str) -> String {
    variable.split_once('=').map_or_else(|| "…".to_owned(), |(name, _)| format!("{name}=…"))
}

/// A word as a POSIX shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+…".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// What an image's build calls, in order. `color`: absent leaves it to Packer. `extra` goes before the template.
pub(crate) fn steps(build: &BuildDecl, color: Option<bool>, extra: &[OsString]) -> Vec<PackerStep> {
    let template = OsString::from(&build.template);
    let mut steps = Vec::new();
    // Legacy JSON templates name no plugins, and `packer init` refuses them.
    let name = build.template.to_string_lossy();
    if !name.ends_with(".json") || name.ends_with(".pkr.json") {
        steps.push(PackerStep { verb: "init", arguments: vec!["init".into(), template.clone()] });
    }
    let mut arguments: Vec<OsString> = vec!["build".into()];
    arguments.extend(color.map(|on| format!("-color={on}").into()));
    for (flag, names) in [("-only", &build.only), ("-except", &build.except)] {
        if !names.is_empty() {
            arguments.push(format!("{flag}={}", names.join(",")).into());
        }
    }
    for file in &build.var_files {
        arguments.extend(["-var-file".into(), file.into()]);
    }
    for (name, value) in &build.variables {
        arguments.extend(["-var".into(), format!("{name}={value}").into()]);
    }
    arguments.extend(extra.iter().cloned());
    arguments.push(template);
    steps.push(PackerStep { verb: "build", arguments });
    steps
}

/// Where Packer runs.
#[derive(Debug, Clone)]
pub(crate) struct PackerProgram {
    /// The program.
    pub program: PathBuf,
    /// The folder of assay.hcl.
    pub folder: PathBuf,
    /// Its output goes to stderr, since stdout is for a document.
    pub to_stderr: bool,
}

impl PackerProgram {
    /// Checks that there is a Packer and that it is not too old. Fails with a sentence.
    pub(crate) async fn check(&self) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        command.arg("version").current_dir(&self.folder).stdin(Stdio::null()).stderr(Stdio::null());
        // It would ask the network for a newer one.
        command.env("CHECKPOINT_DISABLE", "1").kill_on_drop(true);
        let name = self.program.display();
        let asked = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = asked.map_err(|_| format!("{name} version gave no answer within {} s", PATIENCE.as_secs()))?;
        let output =
            output.map_err(|error| format!("{name} cannot be started: {error}; install Packer and have it in PATH"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        match version(&said) {
            Some(found) if found >= OLDEST => Ok(()),
            Some((major, minor)) => {
                Err(format!("{name} is Packer {major}.{minor}; at least {}.{} is needed", OLDEST.0, OLDEST.1))
            }
            None => {
                let said = bounded(&escape_bytes(said.trim().as_bytes()), 200);
                Err(format!("{name} is not HashiCorp's Packer: `packer version` printed {said:?}"))
            }
        }
    }

    /// Runs a step to its end. What asks us to end is handed on to Packer each time, and its end is waited for: it then cleans up what it made. Packer is asked to
    /// end as well where we are killed. `outcomes`: where our post-processor tells what came of it.
    pub(crate) async fn run(&self, step: &PackerStep, outcomes: &Path) -> Result<ExitStatus, String> {
        let name = self.program.display();
        // At a terminal Packer stays in our group, so that it may read from there and Ctrl-C reaches it without us.
        let own_group = !std::io::stdin().is_terminal();
        let mut command = Command::new(&self.program);
        command.args(&step.arguments).current_dir(&self.folder).env(outcomes::VARIABLE, outcomes);
        if self.to_stderr {
            command.stdout(std::io::stderr());
        }
        if own_group {
            command.process_group(0);
        }
        let watch = OrphanWatch::start(None).map_err(|error| format!("/bin/sh cannot be started: {error}"))?;
        let requests = EndRequests::listen().map_err(|error| format!("signals cannot be handled: {error}"))?;
        let child = command.spawn().map_err(|error| format!("{name} cannot be started: {error}"))?;
        let mut running = RunningPacker { child, own_group, watch, requests };
        running.ended().await.map_err(|error| format!("{name} cannot be waited for: {error}"))
    }
}

/// A Packer at work.
///
/// The program that is started is only a wrapper, which starts Packer itself (panicwrap). It ignores SIGINT, which a terminal sends to the whole group anyway, and
/// hands on SIGTERM. So an interrupt goes to the whole group where it is Packer's own, and as SIGTERM to the wrapper where it is ours as well. A second interrupt
/// makes Packer end at once and clean up nothing.
struct RunningPacker {
    child: Child,
    own_group: bool,
    watch: OrphanWatch,
    requests: EndRequests,
}

impl RunningPacker {
    async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        if let Some(pid) = self.pid() {
            let end = if self.own_group { OrphanEnd::InterruptGroup(pid) } else { OrphanEnd::Terminate(pid) };
            self.watch.started(end)?;
        }
        loop {
            tokio::select! {
                status = self.child.wait() => {
                    // Nothing to be told any more where the watch itself is gone.
                    let _ = self.watch.ended();
                    return status;
                }
                request = self.requests.next() => self.hand_on(request),
            }
        }
    }

    fn hand_on(&self, request: EndRequest) {
        let Some(pid) = self.pid() else { return };
        // Gone already: then there is nothing to interrupt.
        let _ = match (self.own_group, request) {
            (true, _) => kill_process_group(pid, Signal::INT),
            (false, EndRequest::Interrupt) => Ok(()),
            (false, EndRequest::Terminate | EndRequest::HangUp) => kill_process(pid, Signal::TERM),
        };
    }

    fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }
}

/// Major and minor of `Packer v1.11.2`.
fn version(said: &str) -> Option<(u64, u64)> {
    let rest = said.lines().find_map(|line| line.trim().strip_prefix("Packer v"))?;
    let mut numbers = rest.split(['.', '-', '+']).map(str::parse::<u64>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(build: &BuildDecl, extra: &[&str]) -> Vec<String> {
        let extra: Vec<OsString> = extra.iter().map(OsString::from).collect();
        steps(build, Some(false), &extra).iter().map(PackerStep::line).collect()
    }

    #[test]
    fn the_command_lines() {
        let build = BuildDecl {
            template: "packer/base.pkr.hcl".into(),
            only: vec!["amazon-ebs.*".to_owned(), "a b".to_owned()],
            except: vec!["x.y".to_owned()],
            var_files: vec!["packer/ci.pkrvars.hcl".into()],
            variables: [("region", "us-east-1"), ("tags", "{a=\"it's\"}")].map(|(k, v)| (k.into(), v.into())).into(),
        };
        assert_eq!(
            lines(&build, &["-on-error=abort"]),
            [
                "packer init packer/base.pkr.hcl",
                "packer build -color=false '-only=amazon-ebs.*,a b' -except=x.y -var-file packer/ci.pkrvars.hcl \
                 -var region=… -var tags=… -on-error=abort packer/base.pkr.hcl",
            ]
        );
        let secret = ["-var", "password=hunter2", "-var=password=hunter2", "--var", "odd-hunter2", "-var-file=x.hcl"];
        let line = &lines(&build, &secret)[1];
        assert!(
            !line.contains("hunter2")
                && line.ends_with("-var password=… -var=password=… --var … -var-file=x.hcl packer/base.pkr.hcl"),
            "{line}"
        );
        let legacy = BuildDecl { template: "old.json".into(), ..BuildDecl::default() };
        assert_eq!(lines(&legacy, &[]), ["packer build -color=false old.json"]);
        let new_json = BuildDecl { template: "new.pkr.json".into(), ..BuildDecl::default() };
        assert_eq!(lines(&new_json, &[]).len(), 2);
        assert_eq!(steps(&legacy, None, &[])[0].line(), "packer build old.json");
    }

    #[test]
    fn versions() {
        assert_eq!(version("Packer v1.11.2\n"), Some((1, 11)));
        assert_eq!(version("Packer v1.7.10-dev (abc)\n\nYour version of Packer is out of date!"), Some((1, 7)));
        assert_eq!(version("100 200\n"), None, "cracklib's packer");
    }
}
