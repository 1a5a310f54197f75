//! The root file system: whether it has grown to the end of its disk, and how full it is.

use super::{Kind, Seen};
use crate::{probe::frames::Frame, suite::Check};

/// See the file.
pub(super) const KIND: Kind = Kind { shell: &[include_str!("root_filesystem.sh")], ask, observe, slow: false };

/// What may be left behind: the file system's own tables, rounding, a backup of the partition table.
const LEFT_PARTS: u64 = 20;
const LEFT_BYTES: u64 = 64 << 20;
/// The kernel counts block devices in these (`/sys/block/*/size`).
const SECTOR: u64 = 512;

fn ask(_: &Check) -> String {
    "ask_root_filesystem".to_owned()
}

fn observe(_: &Check, property: &str, frame: &Frame) -> Seen {
    let text = frame.text('m').unwrap_or_default();
    let Some(mount) = Mount::read(&text) else {
        return Seen::unknown("the host does not show its mounts in /proc/self/mountinfo");
    };
    match property {
        "filesystem" => return Seen::Value(mount.filesystem.into()),
        "read-only" => return Seen::Value(mount.read_only.into()),
        _ => {}
    }
    let text = frame.text('s').unwrap_or_default();
    let Some(numbers) = Numbers::read(&text) else {
        return Seen::unknown("stat -f does not tell the size of /");
    };
    match property {
        "usage" => percent(numbers.blocks.saturating_sub(numbers.free), numbers.available),
        "inodes" if numbers.inodes == 0 => Seen::unknown(format!("{} has no fixed number of inodes", mount.filesystem)),
        "inodes" => percent(numbers.inodes.saturating_sub(numbers.free_inodes), numbers.free_inodes),
        "free" => Seen::Value((numbers.available.saturating_mul(numbers.block) >> 20).into()),
        "size" => Seen::Value((numbers.size() >> 20).into()),
        "grown" => grown(&mount, &numbers, &frame.text('b').unwrap_or_default()),
        _ => Seen::unknown("no such property"),
    }
}

/// As df counts it: of what is used and what may still be used, rounded up.
fn percent(used: u64, available: u64) -> Seen {
    match used.saturating_add(available) {
        0 => Seen::Value(0.into()),
        all => Seen::Value(((u128::from(used) * 100).div_ceil(u128::from(all)) as u64).into()),
    }
}

/// The mount of / (proc_pid_mountinfo(5)).
struct Mount<'a> {
    filesystem: &'a str,
    read_only: bool,
}

impl<'a> Mount<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (before, after) = line.trim().split_once(" - ")?;
        let options = before.split(' ').nth(5)?;
        let filesystem = after.split(' ').next()?;
        Some(Self { filesystem, read_only: options.split(',').any(|o| o == "ro") })
    }
}

/// `stat -f -c '%S %b %f %a %c %d'`: the block's size, blocks, free ones, those for users, inodes, free ones.
struct Numbers {
    block: u64,
    blocks: u64,
    free: u64,
    available: u64,
    inodes: u64,
    free_inodes: u64,
}

impl Numbers {
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
struct Block<'a> {
    word: &'a str,
    name: &'a str,
    start: u64,
    size: u64,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let read = text.lines().filter_map(|line| match line.split(' ').collect::<Vec<_>>().as_slice() {
        [word, name, start, size] => {
            let bytes = |text: &str| text.parse::<u64>().ok().map(|n| n.saturating_mul(SECTOR));
            Some(Block { word, name, start: bytes(start)?, size: bytes(size)? })
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
fn grown(mount: &Mount<'_>, numbers: &Numbers, text: &str) -> Seen {
    let blocks = blocks(text);
    let devices: Vec<&Block<'_>> = blocks.iter().filter(|b| b.word == "device").collect();
    let Some(device) = devices.first() else {
        let why = format!("/ is {} and stands on no disk of its own (a container?)", mount.filesystem);
        return Seen::unknown(why);
    };
    if !fills(numbers.size(), device.size) {
        return Seen::Value(false.into());
    }
    let layered = blocks.iter().any(|b| b.word == "layers");
    let lowest = match devices.as_slice() {
        [_] if layered => {
            return Seen::unknown(format!(
                "/ fills {}, which lies on several disks or on none that is shown",
                device.name
            ));
        }
        [_, below, ..] if !fills(device.size, below.size) => {
            let why = format!(
                "/ fills the volume {}, but that is not all of {}: the rest may be other volumes'",
                device.name, below.name
            );
            return Seen::unknown(why);
        }
        [_, below, ..] => below,
        _ => device,
    };
    let Some(disk) = blocks.iter().find(|b| b.word == "disk") else {
        // The disk itself, without partitions.
        return Seen::Value(true.into());
    };
    let end = lowest.start.saturating_add(lowest.size);
    let next = blocks.iter().filter(|b| b.word == "part" && b.start >= end).map(|b| b.start).min();
    let room = next.unwrap_or(disk.size);
    Seen::Value(fills(end, room).into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::probe::questions::tests::{check, frame};

    const GIB: u64 = (1 << 30) / SECTOR;
    const MOUNT: &str = "23 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw";

    fn see(property: &str, size_gib: f64, blocks: &str) -> Seen {
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
        let (yes, no) = (Seen::Value(json!(true)), Seen::Value(json!(false)));
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
        assert_eq!(see("grown", 7.9, &format!("device d 0 {}\n", 8 * GIB)), yes, "no partitions");
        assert!(matches!(see("grown", 7.9, ""), Seen::Unknown(why) if why.contains("container")));
    }

    #[test]
    fn volumes() {
        let lvm = |volume: u64, below: &str| format!("device dm-0 0 {}\nlayers 1 0 0\n{below}", volume * GIB);
        let below = format!("device p2 2048 {0}\ndisk d 0 {1}\npart p2 2048 {0}\n", 8 * GIB, 8 * GIB + 4096);
        assert_eq!(see("grown", 7.9, &lvm(8, &below)), Seen::Value(json!(true)));
        assert!(matches!(see("grown", 3.9, &lvm(4, &below)), Seen::Unknown(why) if why.contains("other volumes")));
        assert_eq!(see("grown", 3.9, &lvm(8, &below)), Seen::Value(json!(false)));
        assert!(matches!(see("grown", 7.9, &lvm(8, "")), Seen::Unknown(_)));
    }

    #[test]
    fn numbers() {
        assert_eq!(see("usage", 8.0, ""), Seen::Value(json!(67)));
        assert_eq!(see("inodes", 8.0, ""), Seen::Value(json!(75)));
        assert_eq!(see("free", 8.0, ""), Seen::Value(json!(2048)));
        assert_eq!(see("size", 8.0, ""), Seen::Value(json!(8192)));
        assert_eq!(see("filesystem", 8.0, ""), Seen::Value(json!("ext4")));
        assert_eq!(see("read-only", 8.0, ""), Seen::Value(json!(false)));
        let check = check("root-filesystem \"root\" { grown = true }");
        for fields in [&[][..], &[("m", "x - y"), ("s", "1 2")], &[("m", MOUNT), ("s", "a b c d e f")]] {
            assert!(matches!(observe(&check, "usage", &frame(fields)), Seen::Unknown(_)));
        }
    }
}
