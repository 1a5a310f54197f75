//! The kinds of resource. It owns their names, who can answer each, and which property decides; which properties and
//! parameters each has is the vocabulary's.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kinds of resource: goss's, by its names, then assay's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResourceKind {
    /// A remote address, dialled from the host.
    Addr,
    /// A command line run by `sh -c`.
    Command,
    /// A name looked up on the host.
    Dns,
    /// A path.
    File,
    /// A group in /etc/group.
    Group,
    /// A URL, fetched from the host.
    Http,
    /// A network interface.
    Interface,
    /// A kernel parameter (sysctl).
    KernelParam,
    /// A value written in the suite itself; nobody is asked.
    Matching,
    /// A mount point.
    Mount,
    /// A package of the host's package manager.
    Package,
    /// `tcp:22`, `tcp6:22`, `udp:53`.
    Port,
    /// A process by its name.
    Process,
    /// A systemd unit, or a service of another init system.
    Service,
    /// An account in /etc/passwd.
    User,
    /// assay's own: the AMI's attributes, as EC2 shows them.
    Ami,
    /// assay's own: how the boot went (time, failed units, kernel taint).
    Boot,
    /// assay's own: cloud-init has finished (id is free text; property `finished`, `errors`).
    CloudInit,
    /// assay's own: tests that people already have, run by their own program (`src/external`).
    External,
    /// assay's own: what an image must not carry into its instances.
    Hygiene,
    /// assay's own: everything that listens, against a list of what may.
    Listening,
    /// assay's own: the host after a reboot, or after stop and start.
    Reboot,
    /// assay's own: the root file system.
    RootFilesystem,
    /// assay's own: a second instance of the same AMI that boots without any user data of ours, compared with the first.
    SecondBoot,
    /// assay's own: the SSH server's effective settings (`sshd -T`).
    Sshd,
    /// assay's own: systemd's failed units (property `failed`: a list of units).
    Systemd,
}

/// Who can answer a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionAsker {
    /// The host under test, through the prober's script.
    Host,
    /// Nobody: the value stands in the suite, and the prober judges it.
    Suite,
    /// The conductor: EC2 knows, or it takes more than one boot to tell. On a host without a cloud it is undecided.
    Conductor,
}

impl ResourceKind {
    /// The name as it stands in suites and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Addr => "addr",
            Self::Command => "command",
            Self::Dns => "dns",
            Self::File => "file",
            Self::Group => "group",
            Self::Http => "http",
            Self::Interface => "interface",
            Self::KernelParam => "kernel-param",
            Self::Matching => "matching",
            Self::Mount => "mount",
            Self::Package => "package",
            Self::Port => "port",
            Self::Process => "process",
            Self::Service => "service",
            Self::User => "user",
            Self::Ami => "ami",
            Self::Boot => "boot",
            Self::CloudInit => "cloud-init",
            Self::External => "external",
            Self::Hygiene => "hygiene",
            Self::Listening => "listening",
            Self::Reboot => "reboot",
            Self::RootFilesystem => "root-filesystem",
            Self::SecondBoot => "second-boot",
            Self::Sshd => "sshd",
            Self::Systemd => "systemd",
        }
    }

    /// The property that decides whether the others are asked at all: when it is not met, is false or is not known,
    /// they are skipped. goss has no such property for commands and services.
    pub fn gate(self) -> Option<&'static str> {
        match self {
            Self::File | Self::User | Self::Group | Self::Interface | Self::Mount => Some("exists"),
            Self::Package => Some("installed"),
            Self::Port => Some("listening"),
            Self::Process => Some("running"),
            Self::Addr => Some("reachable"),
            Self::Dns => Some("resolvable"),
            Self::Http => Some("status"),
            Self::CloudInit => Some("finished"),
            Self::Reboot => Some("returned"),
            Self::Command
            | Self::Service
            | Self::Systemd
            | Self::KernelParam
            | Self::Matching
            | Self::Ami
            | Self::Boot
            | Self::External
            | Self::Hygiene
            | Self::Listening
            | Self::RootFilesystem
            | Self::SecondBoot
            | Self::Sshd => None,
        }
    }

    /// Whether goss has it too, and so its rules hold.
    pub fn is_goss(self) -> bool {
        self <= Self::User
    }

    /// Who answers.
    pub fn asker(self) -> QuestionAsker {
        match self {
            Self::Ami | Self::External | Self::Reboot | Self::SecondBoot => QuestionAsker::Conductor,
            Self::Matching => QuestionAsker::Suite,
            _ => QuestionAsker::Host,
        }
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
