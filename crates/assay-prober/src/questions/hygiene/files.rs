//! Files by their mode, owner and place.

use super::{HygieneFacts, HygieneFinding, stock};

/// One of the files that the host named: `files`: mode in hexadecimal, uid, gid, user, group, path.
struct NamedFile<'a> {
    mode: u32,
    uid: &'a str,
    gid: &'a str,
    user: &'a str,
    group: &'a str,
    path: &'a str,
}

impl NamedFile<'_> {
    fn is_regular(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }

    fn is_directory(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }

    fn is_world_writable(&self) -> bool {
        self.mode & 0o002 != 0
    }

    /// Whether it is a program that runs as its owner or group.
    fn is_privileged(&self) -> bool {
        self.is_regular() && self.mode & 0o6000 != 0
    }

    fn privilege(&self) -> String {
        let mut parts = Vec::new();
        if self.mode & 0o4000 != 0 {
            parts.push(format!("set-uid {}", self.user));
        }
        if self.mode & 0o2000 != 0 {
            parts.push(format!("set-gid {}", self.group));
        }
        format!("{}, mode {:04o}", parts.join(", "), self.mode & 0o7777)
    }
}

fn files<'a>(facts: &HygieneFacts<'a>) -> Vec<NamedFile<'a>> {
    let lines = facts.answer.section("files").facts();
    let read = lines.into_iter().filter_map(|[mode, uid, gid, user, group, path]| {
        let mode = u32::from_str_radix(mode, 16).ok()?;
        Some(NamedFile { mode, uid, gid, user, group, path })
    });
    read.collect()
}

/// Programs with set-uid or set-gid that no stock distribution has.
pub(super) fn suid(facts: &HygieneFacts<'_>) -> Vec<HygieneFinding> {
    let mut found = Vec::new();
    for file in files(facts).iter().filter(|f| f.is_privileged()) {
        if !stock::is_known(file.path) || file.is_world_writable() {
            found.push(HygieneFinding::new(&[file.path], format!("{} ({})", file.path, file.privilege())));
        }
    }
    found
}

/// All of them, by path.
pub(super) fn suid_files(facts: &HygieneFacts<'_>) -> Vec<HygieneFinding> {
    let files = files(facts);
    files.iter().filter(|f| f.is_privileged()).map(|f| HygieneFinding::new(&[f.path], f.path.to_owned())).collect()
}

/// Files that anybody may write, and directories where anybody may take away others' files.
pub(super) fn world_writable(facts: &HygieneFacts<'_>) -> Vec<HygieneFinding> {
    let mut found = Vec::new();
    for file in files(facts).iter().filter(|f| f.is_world_writable()) {
        let open = file.is_regular() || (file.is_directory() && file.mode & 0o1000 == 0);
        if open {
            let kind = if file.is_directory() { "a directory without the sticky bit, " } else { "" };
            let text = format!("{} ({kind}mode {:04o})", file.path, file.mode & 0o7777);
            found.push(HygieneFinding::new(&[file.path], text));
        }
    }
    found
}

/// Files whose owner or group has no name. GNU's stat says UNKNOWN then, busybox's the number.
pub(super) fn unowned(facts: &HygieneFacts<'_>) -> Vec<HygieneFinding> {
    let nameless = |name: &str| name == "UNKNOWN" || (!name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()));
    let mut found = Vec::new();
    for file in files(facts) {
        let whose = match (nameless(file.user), nameless(file.group)) {
            (true, _) => format!("uid {}", file.uid),
            (_, true) => format!("gid {}", file.gid),
            _ => continue,
        };
        found.push(HygieneFinding::new(&[file.path], format!("{} belongs to {whose}, which has no name", file.path)));
    }
    found
}

/// Work trees of git.
pub(super) fn git_directories(facts: &HygieneFacts<'_>) -> Vec<HygieneFinding> {
    let files = files(facts);
    let trees = files.iter().filter(|f| f.is_directory() && f.path.ends_with("/.git"));
    trees.map(|f| HygieneFinding::new(&[f.path], format!("{} is a git repository", f.path))).collect()
}

/// `cores`: bytes, path.
pub(super) fn core_dumps(facts: &HygieneFacts<'_>) -> Vec<HygieneFinding> {
    let lines = facts.answer.section("cores").facts();
    lines.iter().map(|[bytes, path]| HygieneFinding::new(&[path], format!("{path} ({bytes} bytes)"))).collect()
}

/// `tmp`: time, path.
pub(super) fn tmp_residue(facts: &HygieneFacts<'_>) -> Vec<HygieneFinding> {
    let lines = facts.answer.section("tmp").facts();
    lines.into_iter().filter(|[time, _]| facts.answer.is_older(time)).map(|[_, path]| older(path)).collect()
}

pub(super) fn older(path: &str) -> HygieneFinding {
    HygieneFinding::new(&[path], format!("{path} is older than the first boot"))
}
