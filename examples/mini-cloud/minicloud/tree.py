"""Owns the Debian 12 trees that instances are overlays of: base/ (systemd, sshd, cloud-init) and light/ (a thin layer on it).

Built aside with mmdebstrap and renamed when whole. The packages come from whatever Debian mirror this machine's own apt
uses; the standard one where it uses none. Refuses to run without root, and to leave a half tree under its final name.
"""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
from collections.abc import Callable

from . import aptrepo
from .cache import Cache

SUITE = "bookworm"
PACKAGES = (
    "systemd,systemd-sysv,dbus,libpam-systemd,apt-utils,openssh-server,cloud-init,iproute2,procps,locales,sudo,"
    "ca-certificates,less,netbase,kmod,udev,iputils-ping"
)
DEFAULT_MIRROR = "http://deb.debian.org/debian"
DEFAULT_SECURITY = "http://deb.debian.org/debian-security"

CLOUD_CONFIG = """# The mini cloud's part of cloud-init: one data source, and the sources of apt stay as they are.
datasource_list: [NoCloud]
manage_etc_hosts: true
apt:
  preserve_sources_list: true
system_info:
  default_user:
    name: debian
    gecos: Debian
    lock_passwd: true
    shell: /bin/bash
    groups: [adm]
    sudo: ["ALL=(ALL) NOPASSWD:ALL"]
"""

# Units that would wait for hardware or a network that an instance does not have, or that would touch the host's kernel.
MASKED = (
    "systemd-udevd.service",
    "systemd-udev-trigger.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-modules-load.service",
    "systemd-timesyncd.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
)


def host_sources(root: pathlib.Path = pathlib.Path("/etc/apt")) -> list[tuple[str, str]]:
    """(URI, suite) of every enabled binary source that this machine's apt knows, in both of apt's file formats."""
    found: list[tuple[str, str]] = []
    for path in [root / "sources.list", *sorted((root / "sources.list.d").glob("*.list"))]:
        if path.exists():
            for m in re.finditer(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)", path.read_text(), re.M):
                found.append((m[1], m[2]))
    for path in sorted((root / "sources.list.d").glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", re.sub(r"^#.*\n", "", path.read_text(), flags=re.M)):
            fields = {k.lower(): v.split() for k, v in re.findall(r"^([\w-]+):[ \t]*(.*)$", stanza, re.M)}
            if "deb" in fields.get("types", []) and fields.get("enabled", ["yes"]) != ["no"]:
                found += [(u, s) for u in fields.get("uris", []) for s in fields.get("suites", [])]
    return found


def mirror_lines(sources: list[tuple[str, str]]) -> list[str]:
    """The sources.list lines to build the tree from: this machine's Debian mirrors, or the standard ones."""

    def looks_debian(uri: str) -> bool:
        return uri.rstrip("/").endswith(("/debian", "/debian-security"))

    main = next((u for u, s in sources if looks_debian(u) and not s.endswith("-security") and "security" not in u), DEFAULT_MIRROR)
    security = next((u for u, s in sources if looks_debian(u) and s.endswith("-security")), None)
    if security is None and main == DEFAULT_MIRROR:
        security = DEFAULT_SECURITY
    lines = [f"deb {main} {SUITE} main", f"deb {main} {SUITE}-updates main"]
    return lines + ([f"deb {security} {SUITE}-security main"] if security else [])


def apt_options() -> list[str]:
    """Settings of this machine's apt that decide whether its mirrors can be read: proxies and checks of dates."""
    text = subprocess.run(["apt-config", "dump"], capture_output=True, text=True).stdout
    wanted = re.compile(r'^(Acquire::(?:https?::[^ ]*Proxy[^ ]*|https?::Proxy|Check-Valid-Until|Check-Date)) "(.+)";$', re.M)
    return [f'--aptopt={m[1]} "{m[2]}"' for m in wanted.finditer(text)]


def build(cache: Cache, say: Callable[[str], None]) -> None:
    """Makes base/ and light/ if they are not there. Takes one to three minutes and about 400 MB."""
    final = cache.tree
    if (final / "base").is_dir():
        return
    aside = cache.root / f"building-{final.name}"
    shutil.rmtree(aside, ignore_errors=True)
    (aside / "base").mkdir(parents=True)
    lines = mirror_lines(host_sources())
    say(f"building the Debian 12 tree from {lines[0].split()[1]} (one to three minutes, about 400 MB)")
    bootstrap(aside, lines, say)
    configure_base(aside / "base")
    say("installing the local apt repository into the tree")
    aptrepo.install(aside / "base")
    say("building the layer of light instances")
    build_light(aside)
    aside.rename(final)


def bootstrap(aside: pathlib.Path, lines: list[str], say: Callable[[str], None]) -> None:
    """Runs mmdebstrap into aside/base, telling its main steps; its whole output stays in the log that an error names."""
    log = aside.parent / "mmdebstrap.log"
    command = [
        "mmdebstrap", "--mode=root", "--variant=minbase", f"--include={PACKAGES}", "--format=directory",
        '--aptopt=APT::Install-Recommends "false"', *apt_options(), SUITE, str(aside / "base"), *lines,
    ]  # fmt: skip
    with open(log, "w") as out:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in process.stdout:
            out.write(line)
            if line.startswith("I: "):
                say("  " + line[3:].strip())
    if process.wait() != 0:
        raise SystemExit(f"mini-cloud: mmdebstrap failed; its output is in {log}")


def configure_base(base: pathlib.Path) -> None:
    """Everything that makes a Debian tree behave like a fresh EC2 image of Debian."""
    (base / "etc/cloud/cloud.cfg.d/90_minicloud.cfg").write_text(CLOUD_CONFIG)
    (base / "etc/machine-id").write_text("")
    (base / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    (base / "etc/hostname").unlink(missing_ok=True)
    (base / "etc/resolv.conf").unlink(missing_ok=True)
    (base / "etc/fstab").write_text("")
    (base / "var/log/journal").mkdir(exist_ok=True)
    locales = base / "etc/locale.gen"
    locales.write_text("en_US.UTF-8 UTF-8\nC.UTF-8 UTF-8\n")
    subprocess.run(["chroot", base, "locale-gen"], check=True, stdout=subprocess.DEVNULL)
    for key in (base / "etc/ssh").glob("ssh_host_*"):
        key.unlink()  # each instance gets its own, from cloud-init
    for unit in MASKED:
        (base / "etc/systemd/system" / unit).symlink_to("/dev/null")
    add_users(base)


def add_users(base: pathlib.Path) -> None:
    """One user with two names: `admin`, as in Debian's own AMIs, and `debian`, as Debian's cloud-init package has it. No password, yet
    not locked: sshd refuses locked accounts. cloud-init gives it the launch key.
    """
    run = lambda *command: subprocess.run(["chroot", base, *command], check=True, stdout=subprocess.DEVNULL)  # noqa: E731
    run("useradd", "--create-home", "--uid", "1000", "--shell", "/bin/bash", "--groups", "adm", "--comment", "Debian", "debian")
    run("useradd", "--non-unique", "--uid", "1000", "--gid", "1000", "--no-create-home", "--home-dir", "/home/debian", "--shell", "/bin/bash", "admin")
    for name in ("debian", "admin"):
        run("usermod", "--password", "*", name)
    sudoers = base / "etc/sudoers.d/90-minicloud"
    sudoers.write_text("debian ALL=(ALL) NOPASSWD:ALL\nadmin ALL=(ALL) NOPASSWD:ALL\n")
    sudoers.chmod(0o440)


def build_light(aside: pathlib.Path) -> None:
    """The light layer: what sshd alone needs."""
    upper, work, root = (aside / name for name in ("light", "light.work", "light.root"))
    for folder in (upper, work, root):
        folder.mkdir()
    options = f"lowerdir={aside / 'base'},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, root], check=True)
    try:
        (root / "run/sshd").mkdir(mode=0o755, parents=True, exist_ok=True)
    finally:
        subprocess.run(["umount", root], check=True)
    shutil.rmtree(work)
    root.rmdir()
