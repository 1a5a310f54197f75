//! What is in an image: packages, kernels, units, open ports, accounts, set-id programs. It owns the nouns and their one order, so that the same image gives
//! the same bytes and the same digest wherever it was booted; comparing two is [`compare`](super::compare)'s business.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ids::Digest;

/// The parts of an inventory that are collected one by one, each of which may be unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InventoryPart {
    /// Operating system and kernels.
    System,
    /// Packages.
    Packages,
    /// systemd's units.
    Units,
    /// Listening ports.
    Ports,
    /// Users and groups.
    Accounts,
    /// Programs with set-uid or set-gid.
    SetId,
}

impl InventoryPart {
    /// Every part, in the order in which they are told.
    pub const ALL: [Self; 6] = [Self::System, Self::Packages, Self::Units, Self::Ports, Self::Accounts, Self::SetId];

    /// What it is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Packages => "packages",
            Self::Units => "units",
            Self::Ports => "ports",
            Self::Accounts => "accounts",
            Self::SetId => "set-id",
        }
    }
}

/// What is in an image. Every list is sorted and holds nothing twice; every text is bounded and harmless. A part in `unknown` has empty lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// PRETTY_NAME of os-release(5); empty: none.
    #[serde(default)]
    pub os: String,
    /// The release of the kernel that ran.
    #[serde(default)]
    pub kernel: String,
    /// The releases of the kernels that are installed.
    #[serde(default)]
    pub kernels: Vec<String>,
    /// `dpkg`, `rpm`, `apk` or `pacman`; empty: none of them.
    #[serde(default)]
    pub package_manager: String,
    /// What is installed.
    #[serde(default)]
    pub packages: Vec<InstalledPackage>,
    /// systemd's services, sockets, timers, paths and mounts.
    #[serde(default)]
    pub units: Vec<SystemdUnit>,
    /// What listens.
    #[serde(default)]
    pub ports: Vec<OpenPort>,
    /// Users.
    #[serde(default)]
    pub users: Vec<LocalUser>,
    /// Groups.
    #[serde(default)]
    pub groups: Vec<LocalGroup>,
    /// Programs with set-uid or set-gid on the root file system.
    #[serde(default)]
    pub set_id: Vec<SetIdFile>,
    /// Parts that could not be collected, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unknown: BTreeMap<InventoryPart, String>,
}

/// An installed package. Several versions of one may be installed (rpm: kernels).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InstalledPackage {
    /// Its name.
    pub name: String,
    /// The package manager's word for the architecture; empty: it has none.
    pub architecture: String,
    /// The version in the package manager's notation, with epoch and release.
    pub version: String,
}

/// A unit of systemd's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SystemdUnit {
    /// Its name.
    pub name: String,
    /// systemctl's UnitFileState: `enabled`, `disabled`, `static`, `masked`, …; empty: it has no file.
    pub enabled: String,
    /// `active`, `inactive` or `failed`; empty: it is not loaded.
    pub state: String,
}

/// Something that listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OpenPort {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The number.
    pub port: u16,
    /// `0.0.0.0`, `::`, a loopback address, or `host` for any other address of the machine's.
    pub address: String,
    /// The names of the processes that hold it, with commas between; empty: not readable.
    pub process: String,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LocalUser {
    /// Its name.
    pub name: String,
    /// Its number.
    pub id: u32,
    /// The number of its first group.
    pub group: u32,
    /// Its shell.
    pub shell: String,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LocalGroup {
    /// Its name.
    pub name: String,
    /// Its number.
    pub id: u32,
    /// Its further members, sorted.
    pub members: Vec<String>,
}

/// A program that runs with its owner's or its group's rights.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SetIdFile {
    /// Where.
    pub path: String,
    /// Four octal digits.
    pub mode: String,
    /// The owner's name, or number where there is no name.
    pub owner: String,
    /// The group's.
    pub group: String,
}

/// What differs from boot to boot, and so is no part of the inventory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootFacts {
    /// From the kernel's start to its init's, in milliseconds; the initrd's time is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_ms: Option<u64>,
    /// From init's start to the end of systemd's last job, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userspace_ms: Option<u64>,
    /// Used on the root file system, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_used_bytes: Option<u64>,
}

impl Inventory {
    /// Puts every list into its order, each entry once.
    pub fn sort(&mut self) {
        fn once<T: Ord>(list: &mut Vec<T>) {
            list.sort();
            list.dedup();
        }
        once(&mut self.kernels);
        once(&mut self.packages);
        once(&mut self.units);
        once(&mut self.ports);
        once(&mut self.users);
        once(&mut self.groups);
        once(&mut self.set_id);
    }

    /// Its digest: over its JSON without spaces, the fields in their order.
    pub fn digest(&self) -> Digest {
        Digest::of(&serde_json::to_vec(self).expect("an inventory is texts, numbers, lists and maps with text keys"))
    }

    /// Why a part is unknown; `None`: it is known.
    pub fn unknown(&self, part: InventoryPart) -> Option<&str> {
        self.unknown.get(&part).map(String::as_str)
    }
}
