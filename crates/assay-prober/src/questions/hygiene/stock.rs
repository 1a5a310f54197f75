//! Programs with set-uid or set-gid that stock Debian, Ubuntu, Amazon Linux, the RHEL family, SLES or Alpine install, each
//! with its reason. Only these paths are known; a program of the same name elsewhere is a finding.

/// Folders of programs: `{bin}` and `{sbin}` below, with and without the merged /usr.
const BIN: &[&str] = &["/usr/bin/", "/bin/"];
const SBIN: &[&str] = &["/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"];

/// Names in the folders of programs, and why each is privileged.
const PROGRAMS: &[(&str, &str)] = &[
    ("su", "becomes another user"),
    ("sudo", "becomes another user"),
    ("sudoedit", "edits as another user"),
    ("sudo.ws", "becomes another user (Ubuntu 25.10 and later, beside sudo-rs)"),
    ("sudo-rs", "becomes another user (Ubuntu 25.10 and later)"),
    ("su-rs", "becomes another user (Ubuntu 25.10 and later)"),
    ("doas", "becomes another user (Alpine)"),
    ("pkexec", "becomes another user, by polkit"),
    ("run0", "becomes another user, by systemd"),
    ("mount", "mounts what fstab lets users mount"),
    ("umount", "unmounts it"),
    ("fusermount", "mounts FUSE file systems"),
    ("fusermount3", "mounts FUSE file systems"),
    ("ntfs-3g", "mounts NTFS (older Debian and Ubuntu)"),
    ("passwd", "writes /etc/shadow"),
    ("chage", "reads /etc/shadow"),
    ("expiry", "reads /etc/shadow"),
    ("gpasswd", "writes /etc/gshadow"),
    ("newgrp", "changes the group"),
    ("sg", "changes the group"),
    ("chfn", "writes /etc/passwd"),
    ("chsh", "writes /etc/passwd"),
    ("newuidmap", "makes user namespaces"),
    ("newgidmap", "makes user namespaces"),
    ("bwrap", "makes user namespaces (older Debian)"),
    ("crontab", "writes the spool of cron"),
    ("at", "writes the spool of at"),
    ("ssh-agent", "set-gid, so that it cannot be traced"),
    ("ping", "opens raw sockets (where file capabilities are not used)"),
    ("ping6", "opens raw sockets"),
    ("traceroute6.iputils", "opens raw sockets (older Ubuntu)"),
    ("mtr-packet", "opens raw sockets"),
    ("wall", "writes to terminals, group tty"),
    ("write", "writes to terminals, group tty"),
    ("write.ul", "writes to terminals, group tty"),
    ("bsd-write", "writes to terminals, group tty"),
    ("screen", "writes utmp"),
    ("dotlockfile", "locks mailboxes, group mail"),
    ("locate", "reads the database of locate"),
    ("mlocate", "reads the database of locate"),
    ("plocate", "reads the database of locate"),
    ("staprun", "loads SystemTap's modules (RHEL)"),
    ("cgexec", "moves processes between control groups (RHEL 7, Amazon Linux 2)"),
    ("cgclassify", "moves processes between control groups (RHEL 7, Amazon Linux 2)"),
    ("bbsuid", "busybox's privileged half (Alpine)"),
    ("vmware-user-suid-wrapper", "VMware's tools (Ubuntu)"),
];

/// Names in the folders of administrators' programs.
const ADMIN_PROGRAMS: &[(&str, &str)] = &[
    ("unix_chkpwd", "PAM checks a password"),
    ("unix2_chkpwd", "PAM checks a password (SLES)"),
    ("unix_update", "PAM writes a password"),
    ("pam_timestamp_check", "PAM's time stamps (RHEL, Amazon Linux)"),
    ("pam_extrausers_chkpwd", "PAM checks a password (Ubuntu)"),
    ("pam-tmpdir-helper", "PAM's folders of temporary files (Debian)"),
    ("userhelper", "becomes another user (RHEL, Amazon Linux 2)"),
    ("usernetctl", "switches interfaces (RHEL 7, Amazon Linux 2)"),
    ("netreport", "is told of networks (RHEL 7, Amazon Linux 2)"),
    ("grub2-set-bootflag", "notes that a boot went well (RHEL, Fedora)"),
    ("mount.nfs", "mounts NFS"),
    ("mount.nfs4", "mounts NFS"),
    ("mount.cifs", "mounts CIFS"),
    ("mount.ecryptfs_private", "mounts encrypted homes (Ubuntu)"),
    ("postdrop", "writes postfix's queue (RHEL, Amazon Linux 2)"),
    ("postqueue", "reads postfix's queue (RHEL, Amazon Linux 2)"),
    ("exim4", "writes its own queue (Debian)"),
    ("sendmail.sendmail", "writes its own queue"),
    ("lockdev", "locks serial lines (RHEL 7, Amazon Linux 2)"),
];

/// Helpers, by their whole paths; `*` stands for the machine's multi-architecture folder and its like.
const HELPERS: &[(&str, &str)] = &[
    ("/usr/lib/cargo/bin/sudo", "becomes another user (sudo-rs in Ubuntu 25.10 and later)"),
    ("/usr/lib/cargo/bin/su", "becomes another user (sudo-rs in Ubuntu 25.10 and later)"),
    ("/usr/lib/openssh/ssh-keysign", "signs with the host key (Debian, Ubuntu)"),
    ("/usr/libexec/openssh/ssh-keysign", "signs with the host key (RHEL, Amazon Linux)"),
    ("/usr/lib/ssh/ssh-keysign", "signs with the host key (Alpine, Arch)"),
    ("/usr/lib/dbus-1.0/dbus-daemon-launch-helper", "starts services of D-Bus (Debian, Ubuntu)"),
    ("/usr/libexec/dbus-1/dbus-daemon-launch-helper", "starts services of D-Bus (RHEL, Amazon Linux)"),
    ("/usr/lib64/dbus-1/dbus-daemon-launch-helper", "starts services of D-Bus (Amazon Linux 2)"),
    ("/usr/lib/dbus-1/dbus-daemon-launch-helper", "starts services of D-Bus (SLES)"),
    ("/lib64/dbus-1/dbus-daemon-launch-helper", "starts services of D-Bus (Amazon Linux 2)"),
    ("/usr/libexec/dbus-daemon-launch-helper", "starts services of D-Bus (Alpine)"),
    ("/usr/lib/policykit-1/polkit-agent-helper-1", "polkit asks for a password (Debian, Ubuntu)"),
    ("/usr/lib/polkit-1/polkit-agent-helper-1", "polkit asks for a password"),
    ("/usr/libexec/polkit-agent-helper-1", "polkit asks for a password"),
    ("/usr/lib/snapd/snap-confine", "starts snaps (Ubuntu)"),
    ("/usr/libexec/snapd/snap-confine", "starts snaps"),
    ("/usr/lib/*/utempter/utempter", "writes utmp (Debian, Ubuntu)"),
    ("/usr/lib/utempter/utempter", "writes utmp (SLES)"),
    ("/usr/libexec/utempter/utempter", "writes utmp (RHEL, Amazon Linux)"),
    ("/usr/lib/eject/dmcrypt-get-device", "finds the device of an encrypted disk (Debian)"),
    ("/usr/lib/landscape/apt-update", "updates the lists of packages (Ubuntu)"),
    ("/usr/lib/x86_64-linux-gnu/lxc/lxc-user-nic", "containers' networks (Ubuntu)"),
    ("/usr/lib/aarch64-linux-gnu/lxc/lxc-user-nic", "containers' networks (Ubuntu)"),
    ("/usr/libexec/sssd/krb5_child", "sssd's helpers (RHEL)"),
    ("/usr/libexec/sssd/ldap_child", "sssd's helpers (RHEL)"),
    ("/usr/libexec/sssd/proxy_child", "sssd's helpers (RHEL)"),
    ("/usr/libexec/sssd/selinux_child", "sssd's helpers (RHEL)"),
    ("/usr/libexec/cockpit-session", "cockpit's logins (RHEL)"),
    ("/usr/libexec/abrt-action-install-debuginfo-to-abrt-cache", "crash reports (RHEL 7)"),
];

/// Whether a stock distribution has a privileged program at `path`.
pub(super) fn is_known(path: &str) -> bool {
    let named = |folders: &[&str], names: &[(&str, &str)]| {
        folders.iter().filter_map(|folder| path.strip_prefix(folder)).any(|name| names.iter().any(|(n, _)| *n == name))
    };
    named(BIN, PROGRAMS)
        || named(SBIN, ADMIN_PROGRAMS)
        || HELPERS.iter().any(|(helper, _)| super::allow::matches(helper, path))
}

#[cfg(test)]
mod tests {
    use super::is_known;

    #[test]
    fn by_the_whole_path() {
        for known in [
            "/usr/bin/su",
            "/bin/su",
            "/sbin/unix_chkpwd",
            "/usr/lib/x86_64-linux-gnu/utempter/utempter",
            "/usr/lib/cargo/bin/sudo",
            "/usr/bin/sudo.ws",
            "/sbin/unix2_chkpwd",
            "/usr/lib/utempter/utempter",
            "/usr/lib/dbus-1/dbus-daemon-launch-helper",
        ] {
            assert!(is_known(known), "{known}");
        }
        for unknown in ["/usr/local/bin/su", "/usr/bin/bash", "/tmp/sudo", "/usr/bin/x/su", "su", "/home/usr/bin/su"] {
            assert!(!is_known(unknown), "{unknown}");
        }
    }
}
