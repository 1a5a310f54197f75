//! A host's answers, read into the pieces of an inventory. It owns the bounds: how many of each thing, how long each text; a list that is longer makes its
//! part unknown, since a comparison with half a list would lie.

use std::collections::BTreeMap;

use crate::{
    frames::{AnswerFrame, AnswerFrames},
    proto,
    questions::{self, ListeningSocket},
};
use assay_model::{
    escape::{bounded, escape_line},
    inventory::InventoryPart,
};

/// The number of an answer, in the order of `script::inventory`.
const SYSTEM: u32 = 0;
/// See above.
const PACKAGES: u32 = 1;
/// See above.
const UNITS: u32 = 2;
/// See above.
const BOOT: u32 = 3;
/// See above.
const SET_ID: u32 = 4;
/// See above.
const PORTS: u32 = 5;

/// The longest text of an entry, in bytes.
pub(super) const TEXT: usize = 256;
/// The most entries of one list.
pub(super) const MOST: usize = 12_000;
/// The most members of a group.
pub(super) const MEMBERS: usize = 200;
/// The most kernels.
pub(super) const KERNELS: usize = 40;
/// How much of each list the host sends (see inventory.sh).
const PACKAGES_KEPT: usize = 1_000_000;
const UNITS_KEPT: usize = 400_000;
const ACCOUNTS_KEPT: usize = 262_144;
const SET_ID_KEPT: usize = 262_144;

/// What the answers say.
pub(super) fn inventory(frames: &AnswerFrames) -> proto::InventoryPiece {
    let mut whole = proto::InventoryPiece::default();
    let answer = |index: u32| frames.answers.get(&index).ok_or("the host did not answer");
    let parts = [
        (InventoryPart::System, answer(SYSTEM).and_then(|frame| system(frame, &mut whole))),
        (InventoryPart::Accounts, answer(SYSTEM).and_then(|frame| accounts(frame, &mut whole))),
        (InventoryPart::Packages, answer(PACKAGES).and_then(|frame| packages(frame, &mut whole))),
        (InventoryPart::Units, answer(UNITS).and_then(|frame| units(frame, &mut whole))),
        (InventoryPart::Ports, answer(PORTS).and_then(|frame| ports(frame, &mut whole))),
        (InventoryPart::SetId, answer(SET_ID).and_then(|frame| set_id(frame, &mut whole))),
    ];
    for (part, read) in parts {
        if let Err(reason) = read {
            whole.unknown.push(proto::UnknownPart { part: part.as_str().to_owned(), reason: reason.to_owned() });
        }
    }
    if let Ok(frame) = answer(BOOT) {
        boot(frame, &mut whole);
    }
    whole
}

/// A text as it may be shown.
pub(super) fn clean(text: &str) -> String {
    bounded(&escape_line(text.trim()), TEXT)
}

/// A field's text, unless it is as long as is kept.
fn whole_text(frame: &AnswerFrame, letter: char, kept: usize) -> Result<String, &'static str> {
    match frame.bytes(letter) {
        None => Err("its answer is not complete"),
        Some(bytes) if bytes.len() >= kept => Err("the list is longer than can be read"),
        Some(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
    }
}

fn few<T>(list: Vec<T>) -> Result<Vec<T>, &'static str> {
    if list.len() > MOST { Err("the list is longer than can be read") } else { Ok(list) }
}

fn system(frame: &AnswerFrame, whole: &mut proto::InventoryPiece) -> Result<(), &'static str> {
    let release = frame.text('o').unwrap_or_default();
    let pretty = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    whole.os = clean(pretty.unwrap_or_default().trim().trim_matches(['"', '\'']));
    whole.kernel = clean(&frame.text('k').unwrap_or_default());
    let kernels = frame.text('l').unwrap_or_default();
    whole.kernels = kernels.lines().map(clean).filter(|it| !it.is_empty()).collect();
    if whole.kernels.len() > KERNELS {
        whole.kernels.clear();
        return Err("it has more kernels than can be read");
    }
    if whole.kernel.is_empty() { Err("the host does not tell its kernel") } else { Ok(()) }
}

fn accounts(frame: &AnswerFrame, whole: &mut proto::InventoryPiece) -> Result<(), &'static str> {
    let passwd = whole_text(frame, 'u', ACCOUNTS_KEPT)?;
    let group = whole_text(frame, 'g', ACCOUNTS_KEPT)?;
    let is_entry = |line: &&str| !line.starts_with('#');
    let users = few(passwd.lines().filter(is_entry).filter_map(user).collect())?;
    let groups = few(group.lines().filter(is_entry).filter_map(of_group).collect())?;
    if groups.iter().any(|group| group.members.len() > MEMBERS) {
        return Err("a group has more members than can be read");
    }
    if users.is_empty() {
        return Err("/etc/passwd cannot be read");
    }
    (whole.users, whole.groups) = (users, groups);
    Ok(())
}

/// A line of passwd(5) as glibc reads it: what is missing at its end is empty, and the shell is all the rest. What it passes over is nobody's account.
fn user(line: &str) -> Option<proto::UserAccount> {
    let mut fields = line.splitn(7, ':');
    let (name, _, id, group) = (fields.next()?, fields.next()?, number(fields.next()?)?, number(fields.next()?)?);
    let shell = fields.nth(2).unwrap_or_default();
    Some(proto::UserAccount { name: clean(name), id, group, shell: clean(shell) })
}

/// A line of group(5), likewise.
fn of_group(line: &str) -> Option<proto::UserGroup> {
    let mut fields = line.splitn(4, ':');
    let (name, _, id) = (fields.next()?, fields.next()?, number(fields.next()?)?);
    let members = fields.next().unwrap_or_default();
    let mut members: Vec<String> = members.split(',').map(clean).filter(|it| !it.is_empty()).collect();
    members.sort();
    Some(proto::UserGroup { name: clean(name), id, members })
}

/// A number as C's strtoul takes it: blanks and a sign may stand before it.
fn number(text: &str) -> Option<u32> {
    let text = text.trim_start();
    match text.strip_prefix('-') {
        Some(negative) => negative.parse::<u32>().ok().map(u32::wrapping_neg),
        None => text.strip_prefix('+').unwrap_or(text).parse().ok(),
    }
}

fn packages(frame: &AnswerFrame, whole: &mut proto::InventoryPiece) -> Result<(), &'static str> {
    let manager = frame.word('m').unwrap_or_default();
    let text = whole_text(frame, 'o', PACKAGES_KEPT)?;
    // A database that is damaged in part gives the rest, and the status of success.
    if manager == "rpm" && frame.text('e').is_some_and(|said| said.lines().any(|line| line.starts_with("error:"))) {
        return Err("rpm's database cannot be read to its end");
    }
    let packages = match (manager, frame.word('s')) {
        ("none", _) => return Err("the host has neither dpkg, rpm, apk nor pacman"),
        ("dpkg" | "rpm", Some("0")) => text.lines().filter_map(tabbed).collect(),
        ("apk", Some("0")) => of_apk(&text),
        ("pacman", Some("0")) => text.lines().filter_map(of_pacman).collect(),
        _ => return Err("the package manager did not answer"),
    };
    whole.package_manager = clean(manager);
    whole.packages = few(packages)?;
    if whole.packages.is_empty() { Err("the package manager names no package") } else { Ok(()) }
}

fn package(name: &str, architecture: &str, version: &str) -> proto::InstalledPackage {
    proto::InstalledPackage { name: clean(name), architecture: clean(architecture), version: clean(version) }
}

/// `STATUS TAB NAME TAB ARCHITECTURE TAB VERSION`. dpkg's status ends with `i` (and a blank or a letter for errors) where the package is installed.
fn tabbed(line: &str) -> Option<proto::InstalledPackage> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [status, name, architecture, version] = fields.as_slice() else { return None };
    let installed = status.as_bytes().get(1) == Some(&b'i');
    installed.then(|| package(name, if *architecture == "(none)" { "" } else { architecture }, version))
}

/// apk's database: `P:` begins a package with its name, `V:` is its version, `A:` its architecture, in any order within it (apk v2 writes P, V, A).
fn of_apk(text: &str) -> Vec<proto::InstalledPackage> {
    let mut found: Vec<proto::InstalledPackage> = Vec::new();
    for line in text.lines() {
        match (line.split_at_checked(2), found.last_mut()) {
            (Some(("P:", name)), _) => found.push(package(name, "", "")),
            (Some(("V:", version)), Some(open)) => open.version = clean(version),
            (Some(("A:", architecture)), Some(open)) => open.architecture = clean(architecture),
            _ => {}
        }
    }
    found
}

fn of_pacman(line: &str) -> Option<proto::InstalledPackage> {
    let (name, version) = line.split_once(' ')?;
    Some(package(name, "", version))
}

fn units(frame: &AnswerFrame, whole: &mut proto::InventoryPiece) -> Result<(), &'static str> {
    match frame.word('x') {
        // Without systemd there are none, and that is known.
        Some("none") => return Ok(()),
        Some("0") if frame.word('s') == Some("0") => {}
        _ => return Err("systemctl did not answer"),
    }
    let files = whole_text(frame, 'f', UNITS_KEPT)?;
    let loaded = whole_text(frame, 'l', UNITS_KEPT)?;
    let mut states: BTreeMap<&str, &str> = BTreeMap::new();
    for line in loaded.lines() {
        // Older ones mark failed units with a dot, asked to be plain or not (systemd 219).
        let words: Vec<&str> = line.split_whitespace().filter(|word| *word != "●" && *word != "*").collect();
        if let [name, load, active, ..] = words.as_slice()
            && (*load != "not-found" || *active == "failed")
        {
            states.insert(name, active);
        }
    }
    let mut units = Vec::new();
    for line in files.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(enabled)) = (words.next(), words.next()) else { continue };
        let state = states.remove(name);
        // Made for this instance, some of it by assay's own user data.
        if !matches!(enabled, "transient" | "enabled-runtime") {
            units.push(unit(name, enabled, state.unwrap_or_default()));
        }
    }
    // Instances of templates, and what other units made: only their failure says something of the image.
    units.extend(states.into_iter().filter(|(_, state)| *state == "failed").map(|(name, state)| unit(name, "", state)));
    whole.units = few(units)?;
    Ok(())
}

/// Whether a unit that is not enabled runs at this moment is chance, and not told.
fn unit(name: &str, enabled: &str, state: &str) -> proto::SystemdUnit {
    let state = match state {
        "failed" => "failed",
        "active" | "activating" | "reloading" if enabled == "enabled" => "active",
        "inactive" | "deactivating" if enabled == "enabled" => "inactive",
        _ => "",
    };
    proto::SystemdUnit { name: clean(name), enabled: clean(enabled), state: state.to_owned() }
}

fn ports(frame: &AnswerFrame, whole: &mut proto::InventoryPiece) -> Result<(), &'static str> {
    let port = |it: ListeningSocket| {
        // An instance's own addresses are chance.
        let address = match it.address.as_str() {
            "0.0.0.0" | "::" => it.address,
            address if questions::is_loopback(address) => it.address,
            _ => "host".to_owned(),
        };
        let mut processes: Vec<String> = it.processes.iter().map(|name| clean(name)).collect();
        processes.sort();
        let process = bounded(&processes.join(","), TEXT);
        proto::ListeningPort { protocol: it.protocol.to_owned(), port: it.port.into(), address, process }
    };
    whole.ports = few(questions::listeners(frame)?.into_iter().map(port).collect())?;
    Ok(())
}

fn set_id(frame: &AnswerFrame, whole: &mut proto::InventoryPiece) -> Result<(), &'static str> {
    match frame.word('x') {
        Some("1") => {}
        Some("?") => return Err("this needs root: log in as root, or allow sudo without a password"),
        _ => return Err("the host's find does not know set-uid files"),
    }
    let text = whole_text(frame, 'o', SET_ID_KEPT)?;
    let mut files = Vec::new();
    let mut end = None;
    for line in text.lines() {
        if let Some(status) = line.strip_prefix("end ") {
            end = Some(status);
        } else if let Some(file) = set_id_file(line) {
            files.push(file);
        }
    }
    // Status 1: files came and went while it looked.
    if !matches!(end, Some("0" | "1")) {
        return Err("the root file system could not be searched within a minute");
    }
    whole.set_id = few(files)?;
    Ok(())
}

/// `4755 root root /usr/bin/sudo`
fn set_id_file(line: &str) -> Option<proto::SetIdFile> {
    let mut words = line.splitn(4, ' ');
    let (mode, owner, group, path) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let is_mode = mode.len() <= 4 && mode.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    (is_mode && path.starts_with('/')).then(|| proto::SetIdFile {
        path: clean(path),
        mode: format!("{mode:0>4}"),
        owner: clean(owner),
        group: clean(group),
    })
}

fn boot(frame: &AnswerFrame, whole: &mut proto::InventoryPiece) {
    // Block size, blocks, free blocks.
    let numbers: Vec<u64> =
        frame.word('d').unwrap_or_default().split(':').filter_map(|n| n.trim().parse().ok()).collect();
    if let [size, blocks, free] = numbers.as_slice() {
        whole.disk_used_bytes = blocks.checked_sub(*free).and_then(|used| used.checked_mul(*size));
    }
    let show = frame.text('t').unwrap_or_default();
    let micros = |name: &str| {
        let line = show.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.and_then(|value| value.trim().parse::<u64>().ok()).filter(|micros| *micros > 0)
    };
    let userspace = micros("UserspaceTimestampMonotonic");
    match frame.word('t') {
        // The kernel of a container is its host's.
        Some("container") => {}
        Some(_) => whole.kernel_ms = userspace.map(|micros| micros / 1000),
        // proc_pid_stat(5): process 1 began so many hundredths of a second after the kernel (starttime, field 22).
        None => {
            let stat = frame.text('p').unwrap_or_default();
            let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            let ticks: Option<u64> = after_name.split_whitespace().nth(19).and_then(|ticks| ticks.parse().ok());
            whole.kernel_ms = ticks.and_then(|ticks| ticks.checked_mul(10)).filter(|ms| *ms < 3_600_000);
        }
    }
    let finished = micros("FinishTimestampMonotonic");
    whole.userspace_ms =
        finished.zip(userspace).and_then(|(end, began)| end.checked_sub(began)).map(|micros| micros / 1000);
}
