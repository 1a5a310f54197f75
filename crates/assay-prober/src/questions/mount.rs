//! A mount: the first line about it in /proc/self/mountinfo (proc(5)), and how full it is.

use super::{QuestionKind, SeenProperty, quote, wants};
use crate::frames::AnswerFrame;
use assay_suite::Check;

/// See the file.
pub(super) const KIND: QuestionKind =
    QuestionKind { shell: &[include_str!("mount.sh")], ask, observe: mount, slow: false };

fn ask(check: &Check) -> String {
    let plain = check.subject();
    let older = plain.replace('\\', r"\134").replace(' ', r"\040").replace('\t', r"\011").replace('\n', r"\012");
    // Newer kernels write # so, because it begins a comment in fstab(5).
    let newer = older.replace('#', r"\043");
    let usage = if wants(check, "usage") { "u" } else { "" };
    format!("ask_mount {} {} {} '{usage}'", quote(&older), quote(&newer), quote(plain))
}

fn mount(_: &Check, property: &str, frame: &AnswerFrame) -> SeenProperty {
    if frame.word('x') != Some("1") {
        return SeenProperty::unknown("the host does not show its mounts in /proc/self/mountinfo");
    }
    let line = frame.text('o').unwrap_or_default();
    if line.is_empty() {
        return match property {
            "exists" => SeenProperty::Value(false.into()),
            _ => SeenProperty::Nothing("nothing is mounted there".into()),
        };
    }
    let Some(mount) = MountLine::read(&line) else {
        return SeenProperty::unknown("the line in /proc/self/mountinfo cannot be read");
    };
    match property {
        "exists" => SeenProperty::Value(true.into()),
        "opts" => {
            let mut all: Vec<&str> = Vec::new();
            for option in options(mount.options) {
                if !all.contains(&option) {
                    all.push(option);
                }
            }
            SeenProperty::Value(all.into())
        }
        "vfs-opts" => SeenProperty::Value(options(mount.super_options).into()),
        "source" => SeenProperty::Value(unescape(mount.source).into()),
        "filesystem" => SeenProperty::Value(unescape(mount.filesystem).into()),
        _ => usage(frame.word('u').unwrap_or_default()),
    }
}

/// What of a line of mountinfo matters, from the mount point on.
struct MountLine<'a> {
    options: &'a str,
    filesystem: &'a str,
    source: &'a str,
    super_options: &'a str,
}

impl<'a> MountLine<'a> {
    /// `/mnt rw,noatime shared:1 - ext4 /dev/sda1 rw,errors=continue`; there may be no field before the dash, or several.
    fn read(line: &'a str) -> Option<Self> {
        let (before, after) = line.rsplit_once(" - ")?;
        let options = before.split(' ').nth(1)?;
        let mut after = after.splitn(3, ' ');
        Some(Self { options, filesystem: after.next()?, source: after.next()?, super_options: after.next()? })
    }
}

/// The parts between commas, except commas in quotes (SELinux contexts); empty parts are none.
fn options(text: &str) -> Vec<&str> {
    let mut quoted = false;
    let comma = |c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    };
    text.split(comma).filter(|part| !part.is_empty()).collect()
}

/// Characters that mountinfo writes as a backslash and three octal digits.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..3).filter(|d| *first == b'\\' && d.iter().all(|b| (b'0'..=b'7').contains(b)));
        let code = digits.and_then(|d| u8::try_from(d.iter().fold(0u16, |n, b| n * 8 + u16::from(b - b'0'))).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[3..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `stat -f -c '%b %f'`: all blocks and free ones, into per cent in use (goss, system/mount_posix.go).
fn usage(word: &str) -> SeenProperty {
    let numbers: Vec<f64> = word.split(' ').filter_map(|n| n.parse::<u64>().ok()).map(|n| n as f64).collect();
    match numbers.as_slice() {
        // A file system without blocks (proc, sysfs) is not filled by anything.
        [0.0, _] => SeenProperty::Value(0.into()),
        [blocks, free] => SeenProperty::Value((((1.0 - free / blocks) * 100.0).round() as i64).into()),
        _ => SeenProperty::unknown("stat -f said nothing that can be read, and sudo -n does not help"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_fields_of_mountinfo() {
        let line = r#"/a\040b rw,nosuid,rw shared:1 master:2 - fuse.x \\srv\134My\040Docs rw,context="a:b,c",,errors=continue"#;
        let mount = MountLine::read(line).expect("it is one");
        assert_eq!(options(mount.options), ["rw", "nosuid", "rw"]);
        assert_eq!(options(mount.super_options), ["rw", "context=\"a:b,c\"", "errors=continue"]);
        assert_eq!((mount.filesystem, unescape(mount.source).as_str()), ("fuse.x", r"\\srv\My Docs"));
        assert!(MountLine::read("/ rw - ext4 /dev/sda1 rw").is_some());
        for broken in ["", "/", "/ rw", "/ rw -", "/ rw - ext4", "/ rw - ext4 x", " - a b c"] {
            assert!(MountLine::read(broken).is_none() || broken == " - a b c", "{broken}");
        }
    }

    #[test]
    fn how_full_it_is() {
        assert_eq!(usage("1000 126"), SeenProperty::Value(json!(87)));
        assert_eq!(usage("0 0"), SeenProperty::Value(json!(0)));
        assert_eq!(usage("18446744073709551615 0"), SeenProperty::Value(json!(100)));
        for broken in ["", "1", "a b", "1 2 3", "-1 2"] {
            assert!(matches!(usage(broken), SeenProperty::Unknown(_)), "{broken}");
        }
    }
}
