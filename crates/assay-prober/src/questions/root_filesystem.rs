//! The root file system: whether it has grown to the end of its disk, and how full it is.

use super::{QuestionKind, SeenProperty, first_line, wants};
use crate::frames::AnswerFrame;
use assay_suite::Check;

/// See the file.
pub(super) const KIND: QuestionKind =
    QuestionKind { shell: &[include_str!("root_filesystem.sh")], ask, observe, slow: false };

/// What may be left behind: the file system's own tables, rounding, a backup of the partition table.
const LEFT_PARTS: u64 = 20;
const LEFT_BYTES: u64 = 64 << 20;
/// The kernel counts block devices in these (`/sys/block/*/size`).
const SECTOR: u64 = 512;

fn ask(check: &Check) -> String {
    if wants(check, "read-only") { "ask_root_filesystem w".to_owned() } else { "ask_root_filesystem".to_owned() }
}

fn observe(_: &Check, property: &str, frame: &AnswerFrame) -> SeenProperty {
    let text = frame.text('m').unwrap_or_default();
    let Some(mount) = RootMount::read(&text) else {
        return SeenProperty::unknown("the host does not show its mounts in /proc/self/mountinfo");
    };
    match property {
        "filesystem" => return SeenProperty::Value(mount.filesystem.into()),
        "read-only" => return read_only(&mount, frame),
        _ => {}
    }
    let text = frame.text('s').unwrap_or_default();
    let Some(numbers) = FilesystemNumbers::read(&text) else {
        return SeenProperty::unknown("stat -f does not tell the size of /");
    };
    match property {
        "usage" => percent(numbers.blocks.saturating_sub(numbers.free), numbers.available),
        "inodes" if numbers.inodes == 0 => {
            SeenProperty::unknown(format!("{} has no fixed number of inodes", mount.filesystem))
        }
        "inodes" => percent(numbers.inodes.saturating_sub(numbers.free_inodes), numbers.free_inodes),
        "free" => SeenProperty::Value((numbers.available.saturating_mul(numbers.block) >> 20).into()),
        "size" => SeenProperty::Value((numbers.size() >> 20).into()),
        "grown" => grown(&mount, &numbers, &frame.text('b').unwrap_or_default()),
        _ => SeenProperty::unknown("no such property"),
    }
}

/// As df counts it: of what is used and what may still be used, rounded up.
fn percent(used: u64, available: u64) -> SeenProperty {
    match used.saturating_add(available) {
        0 => SeenProperty::Value(0.into()),
        all => SeenProperty::Value(((u128::from(used) * 100).div_ceil(u128::from(all)) as u64).into()),
    }
}

/// What the mount says, and where that is "writable", what came of a file that was made.
fn read_only(mount: &RootMount<'_>, frame: &AnswerFrame) -> SeenProperty {
    match frame.word('w') {
        _ if mount.read_only => SeenProperty::Value(true.into()),
        Some("yes") => SeenProperty::Value(false.into()),
        Some("no") => SeenProperty::Value(true.into()),
        _ => {
            let said = frame.text('e').unwrap_or_default();
            SeenProperty::unknown(format!(
                "it is mounted as writable, but this user may not try it out, and sudo -n does not work (or the suite says sudo = false): {}",
                first_line(&said)
            ))
        }
    }
}

/// The mount of / (proc_pid_mountinfo(5)).
struct RootMount<'a> {
    filesystem: &'a str,
    read_only: bool,
}

impl<'a> RootMount<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (before, after) = line.trim().split_once(" - ")?;
        let options = before.split(' ').nth(5)?;
        let mut after = after.split(' ');
        let (filesystem, of_all) = (after.next()?, after.nth(1)?);
        // The mount's own options, and those of the file system: an error turns the latter only (errors=remount-ro), and
        // newer kernels have words of their own for that.
        let is_closed = |option: &str| matches!(option, "ro" | "emergency_ro" | "shutdown");
        let read_only = options.split(',').any(|o| o == "ro") || of_all.split(',').any(is_closed);
        Some(Self { filesystem, read_only })
    }
}

/// `stat -f -c '%S %b %f %a %c %d'`: the block's size, blocks, free ones, those for users, inodes, free ones.
struct FilesystemNumbers {
    block: u64,
    blocks: u64,
    free: u64,
    available: u64,
    inodes: u64,
    free_inodes: u64,
}

impl FilesystemNumbers {
    fn read(text: &str) -> Option<Self> {
        let numbers: Vec<u64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
        let [block, blocks, free, available, inodes, free_inodes] = numbers.as_slice() else { return None };
        Some(Self {
            block: *block,
            blocks: *blocks,
            free: *free,
            available: *available,
            inodes: *inodes,
            free_inodes: *free_inodes,
        })
    }

    fn size(&self) -> u64 {
        self.blocks.saturating_mul(self.block)
    }
}

/// A block device: `WORD NAME START SIZE` in sectors.
struct BlockDeviceLine<'a> {
    word: &'a str,
    name: &'a str,
    start: u64,
    size: u64,
}

/// `None`: a line that the host could not fill in.
fn blocks(text: &str) -> Option<Vec<BlockDeviceLine<'_>>> {
    let read = text.lines().map(|line| match line.split(' ').collect::<Vec<_>>().as_slice() {
        [word, name, start, size] => {
            let bytes = |text: &str| text.parse::<u64>().ok().map(|n| n.saturating_mul(SECTOR));
            Some(BlockDeviceLine { word, name, start: bytes(start)?, size: bytes(size)? })
        }
        _ => None,
    });
    read.collect()
}

/// Whether `inner` fills `outer`, but for what may be left behind.
fn fills(inner: u64, outer: u64) -> bool {
    inner.saturating_add(outer / LEFT_PARTS).saturating_add(LEFT_BYTES) >= outer
}

/// From the file system outwards: its device, the volume's own device under LVM and its like, the disk.
fn grown(mount: &RootMount<'_>, numbers: &FilesystemNumbers, text: &str) -> SeenProperty {
    let Some(blocks) = blocks(text) else {
        return SeenProperty::unknown("the host does not tell how large its disks are");
    };
    let devices: Vec<&BlockDeviceLine<'_>> = blocks.iter().filter(|b| b.word == "device").collect();
    let Some(device) = devices.first() else {
        let why = format!("/ is {} and stands on no disk of its own (a container?)", mount.filesystem);
        return SeenProperty::unknown(why);
    };
    if !fills(numbers.size(), device.size) {
        return SeenProperty::Value(false.into());
    }
    for (above, below) in devices.iter().zip(devices.iter().skip(1)) {
        if !fills(above.size, below.size) {
            let why = format!(
                "/ fills the volume {}, but that is not all of {}: the rest may be other volumes'",
                above.name, below.name
            );
            return SeenProperty::unknown(why);
        }
    }
    let lowest = devices.last().unwrap_or(device);
    if blocks.iter().any(|b| b.word == "whole") {
        // The disk itself, without partitions.
        return SeenProperty::Value(true.into());
    }
    let Some(disk) = blocks.iter().find(|b| b.word == "disk") else {
        let why = format!("/ fills {}, which lies on several disks or on none that is shown", lowest.name);
        return SeenProperty::unknown(why);
    };
    let end = lowest.start.saturating_add(lowest.size);
    let next = blocks.iter().filter(|b| b.word == "part" && b.start >= end).map(|b| b.start).min();
    let room = next.unwrap_or(disk.size);
    SeenProperty::Value(fills(end, room).into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::questions::tests::{check, frame};

    const GIB: u64 = (1 << 30) / SECTOR;
    const MOUNT: &str = "23 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw";

    fn see(property: &str, size_gib: f64, blocks: &str) -> SeenProperty {
        let total = (size_gib * 262_144.0) as u64;
        let numbers = format!("4096 {total} {} {} 1000 250", total / 2, total / 4);
        let fields = [("m", MOUNT), ("s", numbers.as_str()), ("b", blocks)];
        observe(&check("root-filesystem \"root\" { grown = true }"), property, &frame(&fields))
    }

    #[test]
    fn from_the_file_system_to_the_end_of_the_disk() {
        let disk = |partition: u64, disk: u64| {
            format!(
                "device p1 2048 {0}\ndisk d 0 {1}\npart p1 2048 {0}\npart p14 34 2000\n",
                partition * GIB,
                disk * GIB
            )
        };
        let (yes, no) = (SeenProperty::Value(json!(true)), SeenProperty::Value(json!(false)));
        assert_eq!(see("grown", 7.8, &disk(8, 8)), yes);
        assert_eq!(see("grown", 2.0, &disk(8, 8)), no, "the file system has not grown");
        assert_eq!(see("grown", 2.0, &disk(2, 8)), no, "the partition has not grown");
        let between = format!(
            "device p1 2048 {0}\ndisk d 0 {1}\npart p1 2048 {0}\npart p2 {2} {0}\n",
            4 * GIB,
            8 * GIB,
            4 * GIB + 2048
        );
        assert_eq!(see("grown", 3.9, &between), yes, "another partition is behind it");
        let whole = format!("device d 0 {0}\nwhole d 0 {0}\n", 8 * GIB);
        assert_eq!(see("grown", 7.9, &whole), yes, "no partitions");
        assert!(matches!(see("grown", 7.9, &whole.replace("whole d", "whole d x")), SeenProperty::Unknown(_)));
        assert!(matches!(see("grown", 7.9, ""), SeenProperty::Unknown(why) if why.contains("container")));
    }

    #[test]
    fn volumes() {
        let lvm = |volume: u64, below: &str| format!("device dm-0 0 {}\nlayers 1 0 0\n{below}", volume * GIB);
        let below = format!("device p2 2048 {0}\ndisk d 0 {1}\npart p2 2048 {0}\n", 8 * GIB, 8 * GIB + 4096);
        assert_eq!(see("grown", 7.9, &lvm(8, &below)), SeenProperty::Value(json!(true)));
        assert!(
            matches!(see("grown", 3.9, &lvm(4, &below)), SeenProperty::Unknown(why) if why.contains("other volumes"))
        );
        assert_eq!(see("grown", 3.9, &lvm(8, &below)), SeenProperty::Value(json!(false)));
        assert!(matches!(see("grown", 7.9, &lvm(8, "")), SeenProperty::Unknown(_)));
        // LVM on LUKS: a layer below a layer.
        let luks = |size: u64| format!("device dm-1 0 {0}\nlayers 1 0 0\n{1}", size * GIB, lvm(8, &below));
        assert_eq!(see("grown", 7.9, &luks(8)), SeenProperty::Value(json!(true)));
        assert!(matches!(see("grown", 3.9, &luks(4)), SeenProperty::Unknown(why) if why.contains("other volumes")));
        assert!(matches!(
            see("grown", 7.9, &format!("device dm-1 0 {}\nlayers 1 0 0\n{}", 8 * GIB, lvm(8, ""))),
            SeenProperty::Unknown(_)
        ));
    }

    #[test]
    fn what_an_error_has_made_read_only() {
        let see = |options: &str, of_all: &str, tried: &str| {
            let mount = format!("23 1 259:1 / / {options} shared:1 - ext4 /dev/nvme0n1p1 {of_all}");
            let check = check("root-filesystem \"root\" { read-only = false }");
            observe(&check, "read-only", &frame(&[("m", &mount), (&format!("w {tried}"), "")]))
        };
        assert_eq!(see("rw,relatime", "rw", "yes"), SeenProperty::Value(json!(false)));
        // errors=remount-ro up to Linux 6.11; from 6.15; and between the two, where only writing tells.
        assert_eq!(see("rw,relatime", "ro,errors=remount-ro", "?"), SeenProperty::Value(json!(true)));
        assert_eq!(see("rw,relatime", "rw,emergency_ro", "?"), SeenProperty::Value(json!(true)));
        assert_eq!(see("rw,relatime", "rw,errors=remount-ro", "no"), SeenProperty::Value(json!(true)));
        assert_eq!(see("ro,relatime", "rw", "yes"), SeenProperty::Value(json!(true)));
        assert!(matches!(see("rw,relatime", "rw", "?"), SeenProperty::Unknown(_)));
    }

    #[test]
    fn numbers() {
        assert_eq!(see("usage", 8.0, ""), SeenProperty::Value(json!(67)));
        assert_eq!(see("inodes", 8.0, ""), SeenProperty::Value(json!(75)));
        assert_eq!(see("free", 8.0, ""), SeenProperty::Value(json!(2048)));
        assert_eq!(see("size", 8.0, ""), SeenProperty::Value(json!(8192)));
        assert_eq!(see("filesystem", 8.0, ""), SeenProperty::Value(json!("ext4")));
        let check = check("root-filesystem \"root\" { grown = true }");
        for fields in [&[][..], &[("m", "x - y"), ("s", "1 2")], &[("m", MOUNT), ("s", "a b c d e f")]] {
            assert!(matches!(observe(&check, "usage", &frame(fields)), SeenProperty::Unknown(_)));
        }
    }
}
