"""Owns `mini-cloud setup`: packages of the machine, the virtual environment, the Debian trees; each once, each with a line.

Refuses anything but Linux on x86_64 with apt (it says what to do elsewhere), and never asks for root halfway: the whole
setup is started again through sudo, before anything was done.
"""

from __future__ import annotations

import os
import pathlib
import platform
import pwd
import shutil
import subprocess
import sys

from . import tree
from .cache import Cache

# program that must be there -> the package that brings it
NEEDED = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
    "dpkg-deb": "dpkg",
}
KEYRING = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def say(text: str) -> None:
    """One line of progress, on stderr: stdout belongs to the command that `run` starts."""
    print(f"mini-cloud: {text}", file=sys.stderr, flush=True)


def become_root(cache: Cache, arguments: list[str]) -> None:
    """Starts this very command again through sudo when not root; returns only when it is root already."""
    if os.geteuid() == 0:
        return
    if not shutil.which("sudo"):
        raise SystemExit("mini-cloud: booting instances needs root: run it as root, or install sudo")
    say("booting instances needs root: starting again with sudo")
    launcher = os.path.realpath(sys.argv[0])
    os.execvp("sudo", ["sudo", "--", sys.executable, launcher, *arguments, "--cache", str(cache.root)])


def check_machine() -> None:
    """Ends with the reason when this machine cannot be a mini cloud at all."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise SystemExit(
            f"mini-cloud: needs Linux on x86_64, this is {platform.system()} on {platform.machine()}: "
            "use a Debian or Ubuntu virtual machine"
        )


def missing_packages() -> list[str]:
    """The Debian packages that this machine lacks."""
    wanted = {package for program, package in NEEDED.items() if not shutil.which(program)}
    if not KEYRING.exists():
        wanted.add("debian-archive-keyring")
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        wanted.add("python3-venv")
    return sorted(wanted)


def install_packages() -> None:
    """Installs what is missing with apt-get."""
    packages = missing_packages()
    if not packages:
        return
    if not shutil.which("apt-get"):
        raise SystemExit(f"mini-cloud: please install these programs' packages first: {' '.join(packages)} (no apt-get here)")
    say(f"installing {' '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "-qq", "-y", "--no-install-recommends", "install", *packages]
    if subprocess.run(install, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        say("refreshing apt's package lists")
        subprocess.run(["apt-get", "-qq", "update"], env=environment, check=False)
        if subprocess.run(install, env=environment, stdout=subprocess.DEVNULL).returncode:
            raise SystemExit(f"mini-cloud: apt-get could not install {' '.join(packages)}")


def build_venv(cache: Cache) -> None:
    """The virtual environment with moto, built aside and renamed when whole."""
    if cache.python.exists():
        return
    aside = cache.root / f"building-{cache.venv.name}"
    shutil.rmtree(aside, ignore_errors=True)
    say("making the virtual environment (moto, boto3)")
    subprocess.run([sys.executable, "-m", "venv", str(aside)], check=True)
    pip = [str(aside / "bin/python"), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    if subprocess.run([*pip, "--require-hashes", "-r", str(cache.requirements)]).returncode:
        raise SystemExit("mini-cloud: pip could not install requirements.txt")
    # Only bin/python is used afterwards, which finds its packages from where it stands; so the folder may be renamed.
    aside.rename(cache.venv)


def give_to_user(cache: Cache) -> None:
    """Under sudo, what the user may own in their own cache folder becomes theirs; the trees stay root's."""
    uid, gid = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if os.geteuid() != 0 or not uid or not gid:
        return
    home = pathlib.Path(pwd.getpwuid(int(uid)).pw_dir)
    for folder in (cache.root, *cache.root.parents):
        if folder != home and folder.is_relative_to(home) and folder.stat().st_uid == 0:
            os.chown(folder, int(uid), int(gid))
    subprocess.run(["chown", "-R", f"{uid}:{gid}", str(cache.venv)], check=True)


def setup(cache: Cache) -> None:
    """Everything, in order; returns at once when it is all there. Must be root (see become_root) unless all is there."""
    check_machine()
    if cache.ready() and not missing_packages():
        cache.mark_used()
        return
    with cache.locked():
        install_packages()
        build_venv(cache)
        tree.build(cache, say)
        cache.drop_old()
        give_to_user(cache)
    say(f"ready; everything is kept in {cache.root}")
