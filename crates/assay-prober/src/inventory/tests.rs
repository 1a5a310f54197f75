//! Hostile and odd answers, and pieces that nobody of ours would send.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{read::MEMBERS, *};
use crate::frames::AnswerFrames;
use assay_model::inventory::InventoryPart;

/// Fields of one answer: `letter word` and the text below it.
type Fields<'a> = &'a [(&'a str, &'a str)];

fn frames(answers: &[(u32, Fields<'_>)]) -> AnswerFrames {
    let mut frames = AnswerFrames::new("n");
    for (index, fields) in answers {
        let mut body = String::new();
        for (head, text) in *fields {
            body.push_str(&format!(".{head}\n"));
            // As base64 writes it: in lines.
            text.as_bytes().chunks(57).for_each(|line| body.push_str(&(STANDARD.encode(line) + "\n")));
        }
        frames.feed(format!("n {index} 1.00 1.50 b\n{body}n .\n").as_bytes());
    }
    frames
}

fn gathered(frames: &AnswerFrames) -> FoundInventory {
    let mut gathered = GatheredInventory::default();
    pieces_of(frames).into_iter().for_each(|piece| gathered.take(piece).expect("ours"));
    gathered.finish().expect("complete")
}

const SYSTEM: Fields<'_> = &[
    ("x 1", ""),
    ("o", "NAME=x\nPRETTY_NAME=\"Alpine \u{1b}[2J\"\n"),
    ("k", "6.6.1-lts\n"),
    ("l", "6.6.1-lts\n6.6.1-lts\n"),
    ("u", "root:x:0:0:root:/root:/bin/ash\nbroken\nx:x:y:0:::\n"),
    ("g", "root:x:0:\nwheel:x:10:root,adm\n"),
];

#[test]
fn every_package_manager() {
    let packages = |manager: &str, status: &str, text: &str| {
        let found =
            gathered(&frames(&[(1, &[(&format!("s {status}"), ""), (&format!("m {manager}"), ""), ("o", text)])]));
        let told = found.inventory.packages.iter().map(|it| format!("{} {} {}", it.name, it.architecture, it.version));
        found
            .inventory
            .unknown(InventoryPart::Packages)
            .map_or_else(|| Ok(told.collect::<Vec<_>>()), |why| Err(why.to_owned()))
    };
    let dpkg = "ii \tbash\tamd64\t5.1-2\nrc \told\tall\t1\nhi \theld\tamd64\t2\niU \thalf\tall\t3\nii \tbad\n";
    assert_eq!(packages("dpkg", "0", dpkg).expect("known"), ["bash amd64 5.1-2", "held amd64 2"]);
    let rpm = "ii\tgpg-pubkey\t(none)\t1-2\nii\tkernel\tx86_64\t1:6.1-2\nii\tkernel\tx86_64\t1:6.1-1\n";
    assert_eq!(
        packages("rpm", "0", rpm).expect("known"),
        ["gpg-pubkey  1-2", "kernel x86_64 1:6.1-1", "kernel x86_64 1:6.1-2"]
    );
    let apk = "V:lost\nP:musl\nV:1.2.5-r1\nA:x86_64\nP:apk-tools\nV:2.14-r0\nA:x86_64\n";
    assert_eq!(packages("apk", "0", apk).expect("known"), ["apk-tools x86_64 2.14-r0", "musl x86_64 1.2.5-r1"]);
    assert_eq!(packages("pacman", "0", "linux 6.6.1.arch1-1\n").expect("known"), ["linux  6.6.1.arch1-1"]);
    assert!(packages("none", "1", "").expect_err("none").contains("neither"));
    let damaged =
        [("s 0", ""), ("m rpm", ""), ("o", rpm), ("e", "error: rpmdb: damaged header #4 retrieved -- skipping.\n")];
    assert!(gathered(&frames(&[(1, &damaged)])).inventory.unknown(InventoryPart::Packages).is_some());
    assert!(packages("dpkg", "2", dpkg).expect_err("failed").contains("did not answer"));
    assert!(packages("dpkg", "0", "").expect_err("empty").contains("no package"));
    let long = "ii \ta\tb\tc\n".repeat(100_001);
    assert!(packages("dpkg", "0", &long).expect_err("cut").contains("longer"));
    let many: String = (0..13_000).map(|n| format!("ii \tp{n}\ta\t1\n")).collect();
    assert!(packages("dpkg", "0", &many).expect_err("many").contains("longer"));
}

#[test]
fn a_system_and_its_accounts() {
    let found = gathered(&frames(&[(0, SYSTEM)])).inventory;
    assert_eq!((found.os.as_str(), found.kernel.as_str()), (r"Alpine \x1b[2J", "6.6.1-lts"));
    assert_eq!(found.kernels, ["6.6.1-lts"]);
    assert_eq!(found.users.len(), 1);
    assert_eq!(found.groups[1].members, ["adm", "root"]);
    assert_eq!(found.unknown.len(), 4, "the rest was not answered: {:?}", found.unknown);
}

#[test]
fn accounts_are_those_that_the_c_library_finds() {
    let found = |passwd: &str, group: &str| {
        gathered(&frames(&[(0, &[("x 1", ""), ("k", "6.6"), ("u", passwd), ("g", group)])])).inventory
    };
    let passwd = "root:x:0:0:root:/root:/bin/sh\n#old:x:0:0:::\nevil:x:0:0::/root:/bin/sh:y\nshort::0:0\nsign:x:+0: 0:::\nno:x:0x0:0:::\n";
    let accounts = found(passwd, "root:x:0:\nadm:x:4:b,a\nshort:x:7\n");
    let users: Vec<String> = accounts.users.iter().map(|it| format!("{} {} {}", it.name, it.id, it.shell)).collect();
    assert_eq!(users, ["evil 0 /bin/sh:y", "root 0 /bin/sh", "short 0 ", "sign 0 "]);
    let groups: Vec<&str> = accounts.groups.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(groups, ["adm", "root", "short"]);
    let many: Vec<String> = (0..=MEMBERS).map(|n| format!("u{n}")).collect();
    let accounts = found(passwd, &format!("many:x:9:{}\n", many.join(",")));
    assert!(
        accounts.unknown(InventoryPart::Accounts).is_some_and(|why| why.contains("more members")),
        "{:?}",
        accounts.unknown
    );
    assert!(accounts.users.is_empty() && accounts.groups.is_empty());
}

#[test]
fn units_by_their_files_and_failures() {
    let files =
        "ssh.service enabled enabled\napt.timer enabled enabled\nx.service static -\nassay-expiry.timer transient -\n";
    let loaded = "ssh.service loaded active running OpenBSD\napt.timer loaded inactive dead x\nx.service loaded active exited x\n\
                  getty@tty1.service loaded active running x\n● made@1.service loaded failed failed x\ngone.service not-found inactive dead gone\n";
    let found = gathered(&frames(&[(2, &[("x 0", ""), ("f", files), ("s 0", ""), ("l", loaded)])])).inventory;
    let told: Vec<String> = found.units.iter().map(|it| format!("{} {} {}", it.name, it.enabled, it.state)).collect();
    assert_eq!(
        told,
        ["apt.timer enabled inactive", "made@1.service  failed", "ssh.service enabled active", "x.service static "]
    );
    let none = gathered(&frames(&[(2, &[("x none", "")])])).inventory;
    assert!(none.units.is_empty() && none.unknown(InventoryPart::Units).is_none(), "no systemd is an answer");
    let broken = gathered(&frames(&[(2, &[("x 1", ""), ("f", ""), ("s 1", ""), ("l", "")])])).inventory;
    assert!(broken.unknown(InventoryPart::Units).is_some());
}

#[test]
fn ports_without_the_instances_own_addresses() {
    let tcp = "0: 00000000:0016 0:0 0A 0:0 0:0 0 0 0 101 1\n1: 0100007F:0019 0:0 0A 0:0 0:0 0 0 0 102 1\n2: 0501000A:0050 0:0 0A 0:0 0:0 0 0 0 103 1\nend 0";
    let held = "/proc/7/fd:\nlrwx 1 root root 64 Nov 23 01:10 6 -> socket:[103]\n";
    let fields = [
        ("x 1", ""),
        ("t", tcp),
        ("T", "end 0"),
        ("u", "end 1"),
        ("U", "end 1"),
        ("f", held),
        ("n", "/proc/7/comm:nginx\n"),
    ];
    let found = gathered(&frames(&[(5, &fields)])).inventory;
    let told: Vec<String> =
        found.ports.iter().map(|it| format!("{} {}:{} {}", it.protocol, it.address, it.port, it.process)).collect();
    assert_eq!(told, ["tcp 0.0.0.0:22 ", "tcp 127.0.0.1:25 ", "tcp host:80 nginx"]);
}

#[test]
fn set_id_programs_only_from_a_search_that_ended() {
    let found = |word: &str, text: &str| gathered(&frames(&[(4, &[(word, ""), ("o", text)])])).inventory;
    let all = found(
        "x 1",
        "4755 root root /usr/bin/sudo\n755 a b /x y\nnonsense\n9999 a b /z\n4755 root root relative\nend 1\n",
    );
    let told: Vec<String> = all.set_id.iter().map(|it| format!("{} {}", it.mode, it.path)).collect();
    assert_eq!(told, ["4755 /usr/bin/sudo", "0755 /x y"]);
    for (word, text) in [("x 1", "4755 root root /a\nend 124\n"), ("x 1", ""), ("x ?", ""), ("x -", "")] {
        assert!(found(word, text).unknown(InventoryPart::SetId).is_some(), "{word} {text}");
    }
}

#[test]
fn how_the_boot_went() {
    let boot = |fields: Fields<'_>| gathered(&frames(&[(3, fields)])).boot;
    let show = "UserspaceTimestampMonotonic=2500000\nFinishTimestampMonotonic=12345678\n";
    let vm = boot(&[("d 4096:1000:400", ""), ("t vm", show)]);
    assert_eq!((vm.kernel_ms, vm.userspace_ms, vm.disk_used_bytes), (Some(2500), Some(9845), Some(600 * 4096)));
    let container = boot(&[("d ", ""), ("t container", show)]);
    assert_eq!((container.kernel_ms, container.userspace_ms, container.disk_used_bytes), (None, Some(9845), None));
    let unfinished = boot(&[("t vm", "UserspaceTimestampMonotonic=2500000\nFinishTimestampMonotonic=0\n")]);
    assert_eq!((unfinished.kernel_ms, unfinished.userspace_ms), (Some(2500), None));
    let stat = format!("1 (in it) S {} 123 rest", (1..=18).map(|n| n.to_string()).collect::<Vec<_>>().join(" "));
    assert_eq!(boot(&[("p", &stat)]).kernel_ms, Some(1230));
    assert_eq!(boot(&[("d 1:2:3", ""), ("p", "x")]), Default::default());
}

#[test]
fn a_large_inventory_comes_in_pieces_that_fit_into_an_event() {
    let many: String = (0..11_000).map(|n| format!("ii \tpackage-{n:05}\tamd64\t{}\n", "1".repeat(60))).collect();
    let frames = frames(&[(0, SYSTEM), (1, &[("s 0", ""), ("m dpkg", ""), ("o", &many)])]);
    let pieces = pieces_of(&frames);
    assert!(pieces.len() > 10 && pieces.iter().all(|piece| piece.encoded_len() < 60 << 10), "{}", pieces.len());
    assert_eq!(gathered(&frames).inventory.packages.len(), 11_000);
}

#[test]
fn the_conductor_takes_no_piece_on_trust() {
    let good = || proto::InventoryPiece { kernel: "6.1".to_owned(), last: true, ..Default::default() };
    let taken = |piece: proto::InventoryPiece| GatheredInventory::default().take(piece);
    assert!(taken(good()).is_some());
    let package = |name: String| proto::InstalledPackage { name, ..Default::default() };
    let unknown = |part: &str| proto::UnknownPart { part: part.to_owned(), reason: "x\u{1b}".to_owned() };
    for bad in [
        proto::InventoryPiece { os: "a\nb".to_owned(), ..good() },
        proto::InventoryPiece { packages: vec![package("\u{1b}[2J".to_owned())], ..good() },
        proto::InventoryPiece { packages: vec![package("a".repeat(400))], ..good() },
        proto::InventoryPiece { packages: vec![package("a".to_owned()); 12_001], ..good() },
        proto::InventoryPiece { kernels: vec![String::new(); 41], ..good() },
        proto::InventoryPiece { ports: vec![proto::ListeningPort { port: 65536, ..Default::default() }], ..good() },
        proto::InventoryPiece { unknown: vec![unknown("verdict")], ..good() },
    ] {
        assert!(taken(bad.clone()).is_none(), "{bad:?}");
    }
    let mut gathered = GatheredInventory::default();
    assert!(gathered.take(proto::InventoryPiece { last: false, ..good() }).is_some());
    assert!(GatheredInventory::default().finish().is_none());
    let reason = proto::InventoryPiece { unknown: vec![unknown("packages")], ..good() };
    let mut whole = GatheredInventory::default();
    whole.take(reason).expect("taken");
    assert!(whole.take(good()).is_none(), "it had ended");
    let found = whole.finish().expect("complete").inventory;
    assert_eq!(found.unknown(InventoryPart::Packages), Some(r"x\x1b"));
    gathered.take(good()).expect("the last");
    assert!(gathered.finish().is_some());
}
