//! What counts as a difference between two images, and what does not.

use super::*;
use crate::inventory::InstalledPackage;

fn package(name: &str, architecture: &str, version: &str) -> InstalledPackage {
    InstalledPackage { name: name.into(), architecture: architecture.into(), version: version.into() }
}

fn unit(name: &str, enabled: &str, state: &str) -> SystemdUnit {
    SystemdUnit { name: name.into(), enabled: enabled.into(), state: state.into() }
}

fn port(protocol: &str, address: &str, port: u16, process: &str) -> OpenPort {
    OpenPort { protocol: protocol.into(), address: address.into(), port, process: process.into() }
}

fn lines(changes: &[ImageChange]) -> Vec<String> {
    let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "-".to_owned());
    changes.iter().map(|it| format!("{}: {} → {}", it.name, side(&it.old), side(&it.new))).collect()
}

fn both(old: Inventory, new: Inventory) -> ImageChanges {
    let changes = compare(&old, &new, ("gold", "candidate"));
    assert!(compare(&old, &old, ("a", "b")).is_empty() && compare(&new, &new, ("a", "b")).is_empty());
    changes
}

#[test]
fn packages_come_go_and_move() {
    let old = [package("bash", "amd64", "5.1-2"), package("curl", "amd64", "7.88"), package("libc6", "amd64", "2.36")];
    let new = [
        package("bash", "amd64", "5.1-2"),
        package("curl", "amd64", "7.89"),
        package("libc6", "amd64", "2.36"),
        package("libc6", "i386", "2.36"),
        package("nginx", "amd64", "1.22"),
    ];
    let of = |packages: &[InstalledPackage]| Inventory { packages: packages.to_vec(), ..Inventory::default() };
    let changes = both(of(&old), of(&new));
    // One that is there for a second architecture now is told with both.
    assert_eq!(
        lines(&changes.packages),
        ["curl: 7.88 → 7.89", "libc6:i386: - → 2.36", "nginx: - → 1.22"],
        "{changes:?}"
    );
    let kernels = [package("kernel", "x86_64", "6.1.1"), package("kernel", "x86_64", "6.1.2")];
    assert_eq!(lines(&both(of(&kernels[..1]), of(&kernels)).packages), ["kernel: 6.1.1 → 6.1.1, 6.1.2"]);
    let rebuilt = both(of(&[package("tzdata", "all", "1")]), of(&[package("tzdata", "amd64", "1")]));
    assert!(rebuilt.is_empty(), "for every machine or for this one is the same: {rebuilt:?}");
    let other = both(of(&[package("bash", "amd64", "5.1-2")]), of(&[package("bash", "i386", "5.1-2")]));
    assert_eq!(lines(&other.packages), ["bash:amd64: 5.1-2 → -", "bash:i386: - → 5.1-2"]);
}

#[test]
fn a_unit_counts_by_what_it_is_meant_to_be_and_by_failure() {
    let of = |units: &[SystemdUnit]| Inventory { units: units.to_vec(), ..Inventory::default() };
    let old = [
        unit("apt-daily.service", "static", "inactive"),
        unit("ssh.service", "enabled", "active"),
        unit("cron.service", "enabled", "active"),
        unit("old.service", "enabled", "active"),
        unit("run-user-0.mount", "", "active"),
    ];
    let new = [
        unit("apt-daily.service", "static", "active"),
        unit("ssh.service", "disabled", "active"),
        unit("cron.service", "enabled", "failed"),
        unit("made.service", "", "failed"),
        unit("run-user-1000.mount", "", "active"),
    ];
    assert_eq!(
        lines(&both(of(&old), of(&new)).units),
        [
            "cron.service: enabled, active → enabled, failed",
            "made.service: - → no unit file, failed",
            "old.service: enabled, active → -",
            "ssh.service: enabled, active → disabled",
        ]
    );
}

#[test]
fn ports_drawn_by_chance_are_no_difference() {
    let of = |ports: &[OpenPort]| Inventory { ports: ports.to_vec(), ..Inventory::default() };
    let old = [
        port("udp", "0.0.0.0", 41234, "dhclient"),
        port("tcp", "0.0.0.0", 22, "sshd"),
        port("udp", "0.0.0.0", 40000, ""),
    ];
    let new = [
        port("udp", "0.0.0.0", 51234, "dhclient"),
        port("udp", "0.0.0.0", 51235, "dhclient"),
        port("tcp", "0.0.0.0", 22, "dropbear"),
        port("tcp", "::", 8080, "python3"),
    ];
    assert_eq!(
        lines(&both(of(&old), of(&new)).ports),
        [
            "tcp 0.0.0.0:22: sshd → dropbear",
            "tcp [::]:8080: - → python3",
            "udp 0.0.0.0:40000: process not readable → -",
            "udp 0.0.0.0:51235: - → dhclient",
        ]
    );
}

#[test]
fn accounts_programs_and_kernels() {
    let user = |name: &str, id, shell: &str| LocalUser { name: name.into(), id, group: id, shell: shell.into() };
    let group = |members: &[&str]| LocalGroup {
        name: "adm".into(),
        id: 4,
        members: members.iter().map(|m| (*m).into()).collect(),
    };
    let file = |mode: &str| SetIdFile {
        path: "/usr/bin/x".into(),
        mode: mode.into(),
        owner: "root".into(),
        group: "root".into(),
    };
    let old = Inventory {
        os: "Debian GNU/Linux 12 (bookworm)".into(),
        kernel: "6.1.0-1".into(),
        kernels: vec!["6.1.0-1".into()],
        users: vec![user("root", 0, "/bin/bash")],
        groups: vec![group(&[])],
        set_id: vec![file("2755")],
        ..Inventory::default()
    };
    let new = Inventory {
        kernel: "6.1.0-2".into(),
        kernels: vec!["6.1.0-1".into(), "6.1.0-2".into()],
        users: vec![user("eve", 0, ""), user("root", 0, "/bin/sh")],
        groups: vec![group(&["eve"])],
        set_id: vec![file("4755")],
        ..old.clone()
    };
    let changes = both(old, new);
    assert_eq!(lines(&changes.system), ["kernel: 6.1.0-1 → 6.1.0-2"]);
    assert_eq!(lines(&changes.kernels), ["6.1.0-2: - → installed"]);
    assert_eq!(
        lines(&changes.users),
        ["eve: - → uid 0, gid 0, none", "root: uid 0, gid 0, /bin/bash → uid 0, gid 0, /bin/sh"]
    );
    assert_eq!(lines(&changes.groups), ["adm: gid 4 → gid 4: eve"]);
    assert_eq!(lines(&changes.set_id), ["/usr/bin/x: 2755 root:root → 4755 root:root"]);
}

#[test]
fn what_one_side_does_not_know_is_not_compared_and_said() {
    let mut old = Inventory { packages: vec![package("bash", "amd64", "1")], ..Inventory::default() };
    let mut new = Inventory::default();
    new.unknown.insert(InventoryPart::Packages, "dpkg-query did not answer".into());
    old.unknown.insert(InventoryPart::SetId, "sudo asks for a password".into());
    let changes = both(old, new);
    assert!(changes.is_empty(), "{changes:?}");
    let reasons: Vec<&str> = changes.incomparable.iter().map(|it| it.reason.as_str()).collect();
    assert_eq!(reasons, ["candidate: dpkg-query did not answer", "gold: sudo asks for a password"]);
}

#[test]
fn the_same_things_in_another_order_have_one_digest() {
    let mut one = Inventory { kernels: vec!["b".into(), "a".into(), "b".into()], ..Inventory::default() };
    let mut two = Inventory { kernels: vec!["a".into(), "b".into()], ..Inventory::default() };
    assert_ne!(one.digest(), two.digest());
    one.sort();
    two.sort();
    assert_eq!(one.digest(), two.digest());
}

#[test]
fn every_process_of_an_address_and_port_is_told() {
    let of = |ports: &[OpenPort]| Inventory { ports: ports.to_vec(), ..Inventory::default() };
    let new = [port("tcp", "0.0.0.0", 80, "backdoor"), port("tcp", "0.0.0.0", 80, "nginx")];
    let changes = both(Inventory::default(), of(&new));
    assert_eq!(lines(&changes.ports), ["tcp 0.0.0.0:80: - → backdoor and nginx"]);
}
