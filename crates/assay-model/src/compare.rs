//! Two inventories, old and new, and what differs between them. It owns which differences mean something (a unit that happens to run at the moment and a port
//! that a client drew by chance do not); it refuses to render.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::inventory::{Inventory, InventoryPart, LocalGroup, LocalUser, OpenPort, SetIdFile, SystemdUnit};

/// What dpkg, rpm, apk and pacman call a package that runs on every machine; pacman's list names no architecture.
const ANY_MACHINE: [&str; 4] = ["all", "noarch", "any", ""];
/// From here on ports are drawn by chance (Linux, net.ipv4.ip_local_port_range).
const EPHEMERAL: u16 = 32768;

/// One thing that differs: `old` is absent where it is new, `new` where it is gone. `name` is what both are called by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageChange {
    /// Its name.
    pub name: String,
    /// What it was, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

/// A part that cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IncomparablePart {
    /// Which.
    pub part: InventoryPart,
    /// Which side does not know it, and why.
    pub reason: String,
}

/// All that differs, in the order in which it is told; each list sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImageChanges {
    /// Operating system and running kernel: names `os`, `kernel`, `package manager`.
    pub system: Vec<ImageChange>,
    /// Installed kernels.
    pub kernels: Vec<ImageChange>,
    /// Packages, by name, with the architecture behind a colon where that may differ.
    pub packages: Vec<ImageChange>,
    /// Units.
    pub units: Vec<ImageChange>,
    /// Ports, as `tcp 0.0.0.0:22`.
    pub ports: Vec<ImageChange>,
    /// Users.
    pub users: Vec<ImageChange>,
    /// Groups.
    pub groups: Vec<ImageChange>,
    /// Programs with set-uid or set-gid.
    pub set_id: Vec<ImageChange>,
    /// What could not be compared.
    pub incomparable: Vec<IncomparablePart>,
}

impl ImageChanges {
    /// Whether nothing differs, as far as it could be compared.
    pub fn is_empty(&self) -> bool {
        self.sections().iter().all(|(_, changes)| changes.is_empty())
    }

    /// Every list with its name, in order.
    pub fn sections(&self) -> [(&'static str, &[ImageChange]); 8] {
        [
            ("system", &self.system),
            ("kernels", &self.kernels),
            ("packages", &self.packages),
            ("units", &self.units),
            ("ports", &self.ports),
            ("users", &self.users),
            ("groups", &self.groups),
            ("set-id programs", &self.set_id),
        ]
    }
}

/// What differs from `old` to `new`. `names`: what to call the two where one does not know a part.
pub fn compare(old: &Inventory, new: &Inventory, names: (&str, &str)) -> ImageChanges {
    let mut changes = ImageChanges::default();
    let mut comparable = |part: InventoryPart| {
        let unknown = [(names.0, old), (names.1, new)];
        let reasons: Vec<String> =
            unknown.iter().filter_map(|(name, it)| Some(format!("{name}: {}", it.unknown(part)?))).collect();
        if !reasons.is_empty() {
            changes.incomparable.push(IncomparablePart { part, reason: reasons.join("; ") });
        }
        reasons.is_empty()
    };
    let [system, packages, units, ports, accounts, set_id] = InventoryPart::ALL.map(&mut comparable);
    if system {
        let facts = |it: &Inventory| {
            [("kernel", &it.kernel), ("os", &it.os)]
                .into_iter()
                .filter(|(_, text)| !text.is_empty())
                .map(|(name, text)| (name.to_owned(), text.clone()))
                .collect()
        };
        changes.system = of_maps(&facts(old), &facts(new));
        let kernels = |it: &Inventory| it.kernels.iter().map(|it| (it.clone(), "installed".to_owned())).collect();
        changes.kernels = of_maps(&kernels(old), &kernels(new));
    }
    if packages {
        changes.packages = of_packages(old, new);
    }
    if units {
        changes.units = of_units(&old.units, &new.units);
    }
    if ports {
        changes.ports = of_ports(&old.ports, &new.ports);
    }
    if accounts {
        changes.users = of_maps(&by(&old.users, user), &by(&new.users, user));
        changes.groups = of_maps(&by(&old.groups, group), &by(&new.groups, group));
    }
    if set_id {
        changes.set_id = of_maps(&by(&old.set_id, program), &by(&new.set_id, program));
    }
    changes
}

type NamedItem = BTreeMap<String, String>;

fn by<T>(list: &[T], named: impl Fn(&T) -> (String, String)) -> NamedItem {
    list.iter().map(named).collect()
}

/// What is in one and not in the other, or otherwise there.
fn of_maps(old: &NamedItem, new: &NamedItem) -> Vec<ImageChange> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let change =
        |name: &String| ImageChange { name: name.clone(), old: old.get(name).cloned(), new: new.get(name).cloned() };
    names.into_iter().map(change).filter(|change| change.old != change.new).collect()
}

fn user(user: &LocalUser) -> (String, String) {
    (user.name.clone(), format!("uid {}, gid {}, {}", user.id, user.group, or_none(&user.shell)))
}

fn group(group: &LocalGroup) -> (String, String) {
    let members = if group.members.is_empty() { String::new() } else { format!(": {}", group.members.join(", ")) };
    (group.name.clone(), format!("gid {}{members}", group.id))
}

fn program(file: &SetIdFile) -> (String, String) {
    (file.path.clone(), format!("{} {}:{}", file.mode, file.owner, file.group))
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

/// The names of packages by whose architecture two sides may differ: one of them has the package for several, or both together have it for several machines.
/// That it is for every machine (`all`) on one side is no difference.
fn told_with_architecture<'a>(old: &'a Inventory, new: &'a Inventory) -> BTreeSet<&'a str> {
    let mut told = BTreeSet::new();
    let mut machines: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for side in [old, new] {
        let mut here: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for package in &side.packages {
            here.entry(&package.name).or_default().insert(&package.architecture);
        }
        for (name, of_it) in here {
            if of_it.len() > 1 {
                told.insert(name);
            }
            machines.entry(name).or_default().extend(of_it.into_iter().filter(|word| !ANY_MACHINE.contains(word)));
        }
    }
    told.extend(machines.into_iter().filter(|(_, of_it)| of_it.len() > 1).map(|(name, _)| name));
    told
}

/// Versions by name, and by architecture where that may differ.
fn of_packages(old: &Inventory, new: &Inventory) -> Vec<ImageChange> {
    let with_architecture = told_with_architecture(old, new);
    let versions = |side: &Inventory| {
        let mut versions = NamedItem::new();
        for package in &side.packages {
            let name = match with_architecture.contains(package.name.as_str()) {
                true => format!("{}:{}", package.name, package.architecture),
                false => package.name.clone(),
            };
            let version = versions.entry(name).or_default();
            if !version.is_empty() {
                version.push_str(", ");
            }
            version.push_str(&package.version);
        }
        versions
    };
    of_maps(&versions(old), &versions(new))
}

/// Units that are enabled otherwise, that failed, or that are there on one side only. Whether a unit that is not enabled runs at this moment is chance (a timer
/// or a socket may have started it).
fn of_units(old: &[SystemdUnit], new: &[SystemdUnit]) -> Vec<ImageChange> {
    fn told(unit: &SystemdUnit) -> (String, String) {
        let steady = unit.state == "failed" || unit.enabled == "enabled";
        let state = if steady && !unit.state.is_empty() { format!(", {}", unit.state) } else { String::new() };
        (unit.name.clone(), format!("{}{state}", if unit.enabled.is_empty() { "no unit file" } else { &unit.enabled }))
    }
    let mut changes = of_maps(&by(old, told), &by(new, told));
    // A unit without a file that is not failed is something that another unit or the machine made.
    let made = |side: &Option<String>| side.as_deref().is_none_or(|told| told == "no unit file");
    changes.retain(|change| !(made(&change.old) && made(&change.new)));
    changes
}

fn of_ports(old: &[OpenPort], new: &[OpenPort]) -> Vec<ImageChange> {
    let (old, new) = without_chance(old, new);
    fn told(port: &OpenPort) -> (String, String) {
        let address = match port.address.contains(':') {
            true => format!("[{}]", port.address),
            false => port.address.clone(),
        };
        let process = if port.process.is_empty() { "process not readable" } else { &port.process };
        (format!("{} {address}:{}", port.protocol, port.port), process.to_owned())
    }
    // Several processes may listen on one address and port.
    let of = |ports: &[&OpenPort]| {
        let mut processes = NamedItem::new();
        for (name, process) in ports.iter().map(|port| told(port)) {
            let known = processes.entry(name).or_default();
            known.push_str(if known.is_empty() { "" } else { " and " });
            known.push_str(&process);
        }
        processes
    };
    of_maps(&of(&old), &of(&new))
}

/// Leaves out pairs of ports that one and the same process drew by chance.
fn without_chance<'a>(old: &'a [OpenPort], new: &'a [OpenPort]) -> (Vec<&'a OpenPort>, Vec<&'a OpenPort>) {
    let mut gone: Vec<&OpenPort> = old.iter().filter(|port| !new.contains(port)).collect();
    let mut come: Vec<&OpenPort> = new.iter().filter(|port| !old.contains(port)).collect();
    gone.retain(|before| {
        let alike = |after: &&OpenPort| {
            before.port.min(after.port) >= EPHEMERAL
                && !before.process.is_empty()
                && (&before.protocol, &before.address, &before.process)
                    == (&after.protocol, &after.address, &after.process)
        };
        match come.iter().position(alike) {
            Some(at) => {
                come.remove(at);
                false
            }
            None => true,
        }
    });
    (gone, come)
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
