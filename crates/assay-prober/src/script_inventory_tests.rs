//! What this machine says is in it, in every shell, and with busybox's tools alone.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::{
    inventory,
    tests::{answers, shells},
};
use crate::{inventory::GatheredInventory, inventory::pieces_of};

#[test]
fn this_machine_is_told_alike_in_every_shell() {
    let program = tempfile::Builder::new().prefix("assay set\nid ").tempdir_in("/var/tmp").expect("a folder");
    std::fs::set_permissions(program.path(), std::fs::Permissions::from_mode(0o700)).expect("a mode");
    let file = program.path().join("program");
    std::fs::write(&file, "").expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o4711)).expect("a mode");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();

    let mut told = Vec::new();
    for mut shell in shells() {
        // Where busybox is the shell, its own tools come first.
        let tools = tempfile::tempdir().expect("a folder");
        if shell.name.starts_with("busybox") {
            for tool in ["find", "stat", "tr", "head", "cat", "grep", "base64", "timeout", "id", "sh"] {
                symlink("/bin/busybox", tools.path().join(tool)).expect("linked");
            }
            shell.command.env("PATH", tools.path());
        }
        // The whole tree of a machine that builds things takes too long to be walked three times.
        let script = inventory("nonce").replace("find / -xdev", "find /usr/bin /var/tmp -xdev");
        let frames = answers(&mut shell.command, &script);
        assert_eq!(frames.end, Some(6), "{}", shell.name);
        let mut gathered = GatheredInventory::default();
        pieces_of(&frames).into_iter().for_each(|piece| gathered.take(piece).expect(shell.name));
        told.push((shell.name, gathered.finish().expect("complete")));
    }
    let (name, first) = told.remove(0);
    let it = &first.inventory;
    assert!(it.unknown.is_empty(), "this needs root, dpkg and /proc: {:?}", it.unknown);
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("Linux");
    assert_eq!(it.kernel, release.trim());
    let has = |name: &str| it.packages.iter().any(|package| package.name == name && !package.version.is_empty());
    assert!(has("bash") && has("dpkg") && it.package_manager == "dpkg", "{}", it.packages.len());
    assert!(it.users.iter().any(|user| (user.name.as_str(), user.id, user.group) == ("root", 0, 0)));
    assert!(it.groups.iter().any(|group| group.name == "root" && group.id == 0));
    let ours = it.ports.iter().find(|it| it.port == port && it.address == "127.0.0.1").expect("our port");
    assert!(ours.protocol == "tcp" && !ours.process.is_empty(), "{ours:?}");
    let found = it.set_id.iter().find(|it| it.path.contains("assay set")).expect("our program");
    assert_eq!((found.mode.as_str(), found.owner.as_str(), found.group.as_str()), ("4711", "root", "root"));
    assert!(found.path.contains("assay set?id ") && found.path.ends_with("/program"), "{found:?}");
    assert!(it.set_id.iter().any(|it| it.path == "/usr/bin/passwd" && it.mode == "4755"), "{:?}", it.set_id);
    assert!(first.boot.disk_used_bytes.is_some_and(|used| used > 1 << 20), "{:?}", first.boot);
    for (other, told) in &told {
        let (mut one, mut two) = (it.clone(), told.inventory.clone());
        // Other tests open ports at the same time.
        one.ports.clear();
        two.ports.clear();
        assert_eq!(one, two, "{name} and {other}");
    }
}
