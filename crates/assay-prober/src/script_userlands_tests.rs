//! The questions in other userlands than this machine's: the shells and tools of three Debian releases, of busybox and uutils, real databases of rpm and
//! pacman, OpenRC and a first process that is runit, doas in the place of sudo, a server with settings on its command line, file systems laid out as
//! ostree does it, and one that an error has closed. `scripts/userlands` makes the trees; nothing is booted, and nothing stays behind.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    tests::{answers, outcomes, questions, suite},
    *,
};
use assay_model::CheckOutcome::{self, Failed, Passed, Undecided};

/// A shell in an overlay of a tree.
struct Userland {
    tree: &'static str,
    /// What root does before the questions come.
    prepare: String,
    user: &'static str,
    shell: &'static [&'static str],
}

impl Userland {
    fn of(tree: &'static str) -> Self {
        Self { tree, prepare: String::new(), user: "0:0", shell: &["sh"] }
    }

    fn prepared(self, prepare: &str) -> Self {
        Self { prepare: format!("{}\n{prepare}", self.prepare), ..self }
    }

    /// Asked by somebody who is not root. Whether sudo works for him is for `prepare` to say.
    fn by_admin(self) -> Self {
        Self { user: "1000:1000", ..self }.prepared("useradd -m -s /bin/sh -u 1000 admin")
    }

    fn shell(self, shell: &'static [&'static str]) -> Self {
        Self { shell, ..self }
    }

    fn command(&self) -> Command {
        let root = rustix::process::geteuid().is_root();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/fixtures/userland.sh");
        let mut command = if root { Command::new(&script) } else { Command::new("sudo") };
        if !root {
            command.arg("-n").arg(&script);
        }
        command.arg(tree(self.tree)).arg(&self.prepare).arg(self.user).args(self.shell);
        command
    }

    /// Every property's outcome by `resource id property`, and what was seen.
    fn told(&self, text: &str) -> BTreeMap<String, (CheckOutcome, String)> {
        let suite = suite(&format!("suite \"x\" {{\n timeout = \"60s\"\n{text}\n}}"));
        outcomes(&suite, &answers(&mut self.command(), &checks("nonce", &questions(&suite))))
    }

    /// Every property passes, but those of an id with WRONG fail and those of one with UNKNOWN are undecided.
    fn asked(&self, text: &str) {
        for (property, (outcome, told)) in self.told(text) {
            let wanted = match property.as_str() {
                p if p.contains("WRONG") => Failed,
                p if p.contains("UNKNOWN") => Undecided,
                _ => Passed,
            };
            assert_eq!(outcome, wanted, "{} {:?}: {property}: {told}", self.tree, self.shell);
        }
    }
}

fn tree(name: &str) -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME is set"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home().join(".cache"), PathBuf::from);
    let tree = cache.join("assay/userlands").join(name);
    assert!(tree.join(".packages").exists(), "{} is missing; get it with: scripts/userlands", tree.display());
    tree
}

/// What every userland can be asked.
const BASICS: &str = r#"
  file "/etc/passwd" {
    exists   = true
    contents = ["/^root:/"]
    mode     = "0644"
    owner    = "root"
    sha256   = { have-len = 64 }
  }
  file "/nowhere/at/all" { exists = false }
  user "root" {
    exists = true
    uid    = 0
    groups = ["root"]
  }
  command "echo out; echo err >&2; exit 3" {
    exit-status = 3
    stdout      = ["out"]
    stderr      = ["err"]
  }
  port "tcp:22" { listening = false }
  process "no-such-process" { running = false }
  kernel-param "kernel.ostype" { value = "Linux" }
  listening "ports" { unexpected = [] }
  root-filesystem "root" { read-only = false }
"#;

const DPKG: &str = r#"
  package "libc6" { installed = true }
  package "telnetd" { installed = false }
  service "ssh" { enabled = true }
  service "nosuch" {
    enabled = false
    running = false
  }
"#;

#[test]
fn debian_11_to_13() {
    for release in ["debian-11", "debian-12", "debian-13"] {
        Userland::of(release).asked(&format!("{BASICS}{DPKG}"));
    }
}

/// What the package manager's scripts left, and a boot has not made yet, is not the image's fault.
const AS_SHIPPED: &str =
    "rm -f /etc/ssh/ssh_host_* /etc/machine-id /var/lib/dbus/machine-id\nrm -rf /var/log/journal /tmp/* /var/tmp/*";

#[test]
fn a_stock_tree_has_no_finding() {
    for release in ["debian-11", "debian-12", "debian-13"] {
        // sshd wants a host key to say anything.
        let host = Userland::of(release).prepared(AS_SHIPPED).prepared("ssh-keygen -q -A");
        host.asked("hygiene \"image\" {}\nsshd \"effective\" { permit-empty-passwords = \"no\" }");
    }
}

#[test]
fn the_tools_of_busybox_and_of_uutils() {
    let alone = "mkdir /alone && mount --bind /alone /alone && mkdir -p /alone/bin /alone/proc /alone/sys /alone/dev /alone/tmp /alone/var/tmp /alone/etc
        cp /bin/busybox /alone/bin && chroot /alone /bin/busybox --install -s /bin
        mount -t proc proc /alone/proc && mount -t sysfs sysfs /alone/sys && mount --bind /dev /alone/dev
        echo root:x:0:0::/:/bin/sh >/alone/etc/passwd && echo root:x:0: >/alone/etc/group && echo 'root:*:1::::::' >/alone/etc/shadow";
    let busybox = Userland::of("debian-12").prepared(alone).shell(&["chroot", "/alone", "/bin/sh"]);
    busybox.asked(BASICS);
    let image = "hygiene \"image\" {\n suid = []\n unowned = []\n private-keys = []\n cloud-credentials = []\n authorized-keys = []\n logs = []\n}";
    busybox.asked(&format!(
        "{image}\npackage \"UNKNOWN\" {{ installed = false }}\nboot \"UNKNOWN\" {{ reboot-required = false }}"
    ));
    let uutils =
        Userland::of("debian-13").shell(&["env", "PATH=/usr/lib/cargo/bin/coreutils:/usr/bin:/usr/sbin", "sh"]);
    uutils.asked(&format!("{BASICS}{DPKG}{image}"));
    let version = uutils
        .told("command \"stat --version; timeout --version\" { stdout = [\"/^stat 0[.]/\", \"/^timeout 0[.]/\"] }");
    assert!(version.values().all(|(outcome, _)| *outcome == Passed), "{version:?}");
}

#[test]
fn root_by_sudo_by_doas_and_not_at_all() {
    let secret = "mkdir -m 700 /root/deep && echo x >/root/deep/file && chmod 700 /root";
    let sudo = Userland::of("debian-12")
        .by_admin()
        .prepared(secret)
        .prepared("echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin");
    let doas = Userland::of("debian-12").by_admin().prepared(secret).prepared(
        "rm /usr/bin/sudo; echo 'permit nopass admin' >/etc/doas.conf; chmod 400 /etc/doas.conf; echo 'root ALL = NOPASSWD: ALL' >/etc/sudoers.d/root",
    );
    let questions = r#"
      file "/root/deep/file" {
        exists   = true
        contents = ["x"]
      }
      file "/root/deep/nothing" { exists = false }
      file "/etc/shadow" { contents = ["/^root:/"] }
      root-filesystem "root" { read-only = false }
    "#;
    sudo.asked(&format!("{questions}\nhygiene \"image\" {{ sudoers = [] }}"));
    doas.asked(&format!("{questions}\nhygiene \"WRONG\" {{ sudoers = [] }}"));
    let nobody = Userland::of("debian-12").by_admin().prepared(secret);
    nobody.asked(
        r#"
          file "UNKNOWN" {
            path   = "/root/deep/nothing"
            exists = false
          }
          file "UNKNOWN, its contents" {
            path     = "/etc/shadow"
            contents = ["!x"]
          }
          hygiene "UNKNOWN" { sudoers = [] }
          sshd "UNKNOWN" { permit-root-login = "no" }
          root-filesystem "root" { read-only = false }
        "#,
    );
}

/// A host of the RHEL family as far as its packages go: rpm's own database, with two packages that rpmbuild made.
const RPM: &str = r#"
  rm /etc/debian_version && echo 'Red Hat' >/etc/redhat-release
  mkdir -p /etc/rpm && echo '%_dbpath /var/lib/rpm' >/etc/rpm/macros && cd /tmp
  for name in glibc kernel; do
    printf 'Name: %s\nVersion: 1.2\nRelease: 3.el9\nEpoch: 1\nSummary: x\nLicense: x\nBuildArch: noarch\n%%description\nx\n%%files\n' "$name" >"$name.spec"
    rpmbuild --quiet -bb --define '_topdir /tmp/built' "$name.spec" 2>/dev/null
  done
  rpm --initdb && rpm -i --nodeps --justdb --force-debian /tmp/built/RPMS/noarch/*.rpm
"#;

#[test]
fn a_database_of_rpm_that_can_be_read() {
    let asked = r#"
      package "glibc" {
        installed = true
        versions  = ["1:1.2-3.el9"]
      }
      package "telnet-server" { installed = false }
      boot "now" { reboot-required = false }
    "#;
    Userland::of("debian-12").prepared(RPM).asked(asked);
    // Root's alone, and sudo works.
    let closed = "chmod 700 /var/lib/rpm && echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin";
    Userland::of("debian-12").prepared(RPM).by_admin().prepared(closed).asked(asked);
    // The dynamic loader complains in every program.
    Userland::of("debian-12").prepared(RPM).shell(&["env", "LD_PRELOAD=/no-such-agent.so", "sh"]).asked(asked);
}

#[test]
fn what_a_package_manager_leaves_behind_others_can_read() {
    let rpm = r#"
      rm /etc/debian_version && echo 'Red Hat' >/etc/redhat-release
      printf '#!/bin/sh\n[ "$(umask)" = 0022 ] && echo 1.2-3\n' >/usr/bin/rpm && chmod 755 /usr/bin/rpm
    "#;
    Userland::of("debian-12").prepared(rpm).asked("package \"glibc\" { installed = true }");
}

#[test]
fn a_database_of_packages_that_cannot_be_read_or_is_gone() {
    let unknown = r#"
      package "UNKNOWN" {
        name      = "telnet-server"
        installed = false
      }
      package "UNKNOWN too" {
        name      = "glibc"
        installed = false
      }
    "#;
    let rpm = || Userland::of("debian-12").prepared(RPM);
    rpm().by_admin().prepared("chmod 700 /var/lib/rpm").asked(unknown);
    rpm()
        .prepared("head -c 40000 /dev/urandom >/var/lib/rpm/rpmdb.sqlite; rm -f /var/lib/rpm/*-wal /var/lib/rpm/*-shm")
        .asked(unknown);
    rpm().prepared("rm -r /var/lib/rpm").asked(unknown);
    Userland::of("debian-12").prepared(": >/var/lib/dpkg/status").asked(unknown);
    let pacman = "rm /etc/debian_version; : >/etc/arch-release; mkdir -p /var/lib/pacman/local";
    Userland::of("debian-12").prepared(pacman).asked(unknown);
    let one = "mkdir /var/lib/pacman/local/glibc-1.2-3; printf '%%NAME%%\\nglibc\\n\\n%%VERSION%%\\n1.2-3\\n\\n' >/var/lib/pacman/local/glibc-1.2-3/desc; echo 9 >/var/lib/pacman/local/ALPM_DB_VERSION";
    Userland::of("debian-12").prepared(pacman).prepared(one).asked(
        r#"
          package "glibc" {
            installed = true
            versions  = ["1.2-3"]
          }
          package "telnet-server" { installed = false }
        "#,
    );
}

#[test]
fn who_tells_that_a_reboot_is_wanted() {
    let asked = |host: Userland, wanted: &str| host.asked(&format!("boot \"now\" {{ reboot-required = {wanted} }}"));
    asked(Userland::of("debian-12").prepared("touch /run/reboot-required"), "true");
    asked(Userland::of("debian-12").prepared("touch /run/reboot-needed"), "true");
    let kernels = "mkdir -p /boot; rm -f /usr/bin/dnf; touch \"/boot/vmlinuz-$(uname -r)\"";
    asked(Userland::of("debian-12").prepared(kernels), "false");
    let newer = "touch \"/boot/vmlinuz-$(uname -r | sed 's/^[0-9]*/99/')\"";
    asked(Userland::of("debian-12").prepared(kernels).prepared(newer), "true");
    asked(
        Userland::of("debian-13").prepared("echo '#!/bin/sh' >/usr/bin/zypper; echo 'exit 102' >>/usr/bin/zypper"),
        "true",
    );
    Userland::of("debian-11").asked("boot \"UNKNOWN\" { reboot-required = false }");
    // dnf that fails ends with 1 as well.
    let broken =
        "echo '#!/bin/sh' >/usr/bin/dnf; echo 'echo \"Error: Failed to load plugin\" >&2; exit 1' >>/usr/bin/dnf";
    Userland::of("debian-12").prepared(broken).asked("boot \"UNKNOWN\" { reboot-required = false }");
    let recorded = include_str!("fixtures/recorded/needs-restarting-el8");
    let recorded: String =
        recorded.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    let says = format!(
        "cat >/usr/bin/needs-restarting <<'X'\n#!/bin/sh\ncat <<'Y'\n{recorded}Y\nexit 1\nX\nchmod 755 /usr/bin/needs-restarting"
    );
    asked(Userland::of("debian-12").prepared(&says), "true");
}

#[test]
fn zypper_itself() {
    let host = Userland::of("debian-13").prepared("rm -rf /boot/*");
    let told = host.told("boot \"now\" { reboot-required = false }\ncommand \"zypper --non-interactive needs-rebooting\" { exit-status = 0 }");
    assert!(told.values().all(|(outcome, _)| *outcome == Passed), "{told:?}");
}

#[test]
fn services_of_openrc_and_of_runit() {
    let openrc = "mkdir -p /run/openrc && touch /run/openrc/softlevel && rc-update -q add ssh default && rm -f /etc/runlevels/*/cron";
    Userland::of("debian-12").prepared(openrc).asked(
        r#"
          service "ssh" {
            enabled   = true
            running   = false
            runlevels = ["default"]
          }
          service "nosuch" {
            enabled = false
            running = false
          }
        "#,
    );
    let unknown = "service \"UNKNOWN\" {\n name = \"ssh\"\n enabled = false\n running = false\n}";
    Userland::of("debian-12").prepared("cp /bin/dash /sbin/runit").shell(&["/sbin/runit"]).asked(unknown);
    // No run levels, and nobody to ask.
    let nothing =
        "rm -rf /etc/init.d /etc/rc?.d /etc/runlevels; rm -f /usr/sbin/service /usr/sbin/rc-service /sbin/rc-service";
    Userland::of("debian-12").prepared(nothing).asked(unknown);
}

/// systemctl without a D-Bus daemon: root's speaks with systemd itself, another user's says this (systemd 252).
const NO_BUS: &str = r#"
mkdir -p /run/systemd/system
cat >/usr/bin/systemctl <<'X'
#!/bin/sh
if [ "$(id -u)" != 0 ]; then
  echo 'Failed to connect to bus: No such file or directory' >&2
  exit 1
fi
case $1 in
is-enabled) echo enabled ;;
is-active) echo active ;;
list-units) echo '● broken.service loaded failed failed Broken' ;;
*) exit 1 ;;
esac
X
chmod 755 /usr/bin/systemctl
"#;

#[test]
fn systemd_without_a_bus() {
    let questions = |id: &str| {
        format!(
            "service \"{id}\" {{\n name = \"ssh\"\n enabled = true\n running = true\n}}\nsystemd \"{id}\" {{ failed = [\"broken.service\"] }}"
        )
    };
    let host = || Userland::of("debian-12").by_admin().prepared(NO_BUS);
    host().prepared("echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin").asked(&questions("x"));
    host().asked(&questions("UNKNOWN"));
    let script = facts("nonce");
    for (sudo, timer) in [("echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin", "1"), ("", "?")] {
        let frames = answers(&mut host().prepared(sudo).command(), &script);
        assert_eq!(frames.answers[&0].word('t'), Some(timer), "{sudo}");
    }
}

#[test]
fn a_server_with_settings_on_its_command_line() {
    let start = |words: &str| format!("ip link set lo up && /usr/sbin/sshd {words} </dev/null >/dev/null 2>&1");
    let asked = r#"
      sshd "effective" {
        ciphers        = ["aes128-cbc"]
        port           = ["2222"]
        max-auth-tries = "3"
      }
      hygiene "image" { authorized-keys = [] }
    "#;
    for release in ["debian-11", "debian-12", "debian-13"] {
        let host = || Userland::of(release);
        host().prepared(&start("-oCiphers=aes128-cbc -p 2222 -o MaxAuthTries=3")).asked(asked);
        // How its words were divided is lost where OpenSSH writes them into one line.
        let divided = start("-oCiphers=aes128-cbc -o 'MaxAuthTries 3'");
        host()
            .prepared(&divided)
            .asked("sshd \"UNKNOWN\" { ciphers = [] }\nhygiene \"UNKNOWN\" { authorized-keys = [] }");
        let two = [start("-p 2222"), start("-p 2223 -o PidFile=none")].join("\n");
        host().prepared(&two).asked("sshd \"UNKNOWN\" { max-auth-tries = \"6\" }");
    }
    let stale = "echo 'OPTIONS=\"-oCiphers=aes128-cbc\"' >/etc/sysconfig/sshd";
    Userland::of("debian-12")
        .prepared("mkdir -p /etc/sysconfig")
        .prepared(stale)
        .asked("sshd \"UNKNOWN\" { max-auth-tries = \"6\" }");
}

/// Folders as on Fedora CoreOS and other systems of ostree: links at the top, and of one file system /etc mounted first, then the whole, then /var.
const OSTREE: &str = r#"
  truncate -s 64M /disk && mkfs.ext4 -q /disk && mkdir /sysroot && mount -o loop /disk /sysroot
  device=$(findmnt -n -o SOURCE /sysroot)
  all=/sysroot/ostree/deploy/x
  mkdir -p "$all/var" "$all/deploy/1/etc" /sysroot/ostree/repo/objects/aa
  cp -a /etc/. "$all/deploy/1/etc" && cp -a /var/. "$all/var"
  mkdir -p "$all/var/home/core" "$all/var/roothome/.ssh" "$all/var/opt" "$all/var/srv/app/.git"
  mount --bind "$all/deploy/1/etc" /etc && umount /sysroot && mount "$device" /sysroot && mount --bind "$all/var" /var
  touch /run/ostree-booted && cd / && rm -rf home root opt srv
  ln -s var/home home && ln -s var/roothome root && ln -s var/opt opt && ln -s var/srv srv
  for file in var/opt/agent sysroot/stray sysroot/ostree/repo/objects/aa/bb.file; do echo x >"$file" && chmod 4755 "$file"; done
  echo '-----BEGIN OPENSSH PRIVATE KEY-----' >root/.ssh/id_x && echo AKIAIOSFODNN7EXAMPLE >srv/app/token && echo ls >home/core/.bash_history
"#;

#[test]
fn folders_and_mounts_as_ostree_lays_them_out() {
    let found = Userland::of("debian-12").prepared(OSTREE).told(
        "hygiene \"image\" {\n suid = []\n git-directories = []\n private-keys = []\n cloud-credentials = []\n histories = []\n}",
    );
    for (property, places) in [
        ("suid", vec!["/sysroot/stray (", "/var/opt/agent ("]),
        ("git-directories", vec!["/var/srv/app/.git"]),
        ("private-keys", vec!["/root/.ssh/id_x line 1"]),
        ("cloud-credentials", vec!["/srv/app/token line 1"]),
        ("histories", vec!["core: /home/core/.bash_history"]),
    ] {
        let (outcome, told) = &found[&format!("hygiene image {property}")];
        assert_eq!(*outcome, Failed, "{property}: {told}");
        assert!(places.iter().all(|place| told.contains(place)), "{property}: {told}");
        assert!(!told.contains("bb.file") && !told.contains("/usr/bin/su ("), "{property}: {told}");
    }
}

/// A part of a file system that is bound elsewhere before the whole of it is mounted.
#[test]
fn a_file_system_that_is_seen_in_part_first_is_looked_through() {
    let prepare = r#"
      truncate -s 32M /disk && mkfs.ext4 -q /disk && mkdir /first /part /whole && mount -o loop /disk /first
      device=$(findmnt -n -o SOURCE /first) && mkdir /first/sub
      mount --bind /first/sub /part && umount /first && mount "$device" /whole
      for file in part/a whole/b; do echo x >"$file" && chmod 4755 "$file"; done
      mkdir /whole/hidden && echo x >/whole/hidden/c && chmod 4755 /whole/hidden/c && mkdir /seen
      mount --bind /whole/hidden /seen && mount -t tmpfs over /whole/hidden
    "#;
    let found = Userland::of("debian-12").prepared(prepare).told("hygiene \"image\" { suid = [] }");
    let (_, told) = &found["hygiene image suid"];
    for place in ["/whole/sub/a (", "/whole/b (", "/seen/c ("] {
        assert!(told.contains(place), "{place}: {told}");
    }
    assert!(!told.contains("/part/a (") && !told.contains("/first/"), "each once: {told}");
}

/// ext4 as Debian and Ubuntu mount it (errors=remount-ro), before and after an error. What the kernel says of it then differs by its version.
#[test]
fn a_root_file_system_that_an_error_has_closed() {
    let prepare = r#"
      truncate -s 32M /disk && mkfs.ext4 -q /disk && mkdir /small && mount -o loop,errors=remount-ro /disk /small
      mkdir -p /small/bin /small/proc /small/sys /small/dev /small/etc && cp /bin/busybox /small/bin
      chroot /small /bin/busybox --install -s /bin && mount -t proc proc /small/proc && mount -t sysfs sysfs /small/sys && mount --bind /dev /small/dev
    "#;
    let host = || Userland::of("debian-12").prepared(prepare).shell(&["chroot", "/small", "/bin/sh"]);
    let demand = |id: &str| format!("root-filesystem \"{id}\" {{ read-only = false }}");
    host().asked(&demand("root"));
    let error = "device=$(findmnt -n -o SOURCE /small) && echo x >\"/sys/fs/ext4/${device#/dev/}/trigger_fs_error\"";
    host().prepared(error).asked(&demand("WRONG"));
}
