"""Owns the small apt repository inside every instance: one package of our own, an old version installed, a newer one waiting.

Instances have no network, yet "update packages" must really update something. The repository is flat files in the tree,
read by apt through file:, so `apt-get update` takes a fraction of a second. Refuses to carry anybody else's package.
"""

from __future__ import annotations

import hashlib
import pathlib
import shutil
import subprocess
import tempfile

PACKAGE = "minicloud-motd"
INSTALLED, NEWER = "1.0", "1.1"
FOLDER = "srv/minicloud-apt"
SOURCE_LINE = f"deb [trusted=yes lang=none] file:/{FOLDER} ./\n"

CONTROL = f"""Package: {PACKAGE}
Version: %s
Architecture: all
Maintainer: mini cloud <root@localhost>
Section: misc
Priority: optional
Description: greeting of the mini cloud
 Says which version of itself is installed; it exists to be upgraded.
"""


def build_deb(version: str, folder: pathlib.Path) -> pathlib.Path:
    """Builds the package in `folder` with dpkg-deb and returns the .deb's path."""
    with tempfile.TemporaryDirectory() as tmp:
        root = pathlib.Path(tmp) / "package"
        (root / "DEBIAN").mkdir(parents=True)
        (root / "DEBIAN/control").write_text(CONTROL % version)
        motd = root / "usr/share/minicloud/motd"
        motd.parent.mkdir(parents=True)
        motd.write_text(f"mini cloud, greeting {version}\n")
        for path in (root, *root.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        deb = folder / f"{PACKAGE}_{version}_all.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", root, deb], check=True, stdout=subprocess.DEVNULL)
    return deb


def index(deb: pathlib.Path, version: str) -> str:
    """The stanza of one package for a flat repository's Packages file."""
    data = deb.read_bytes()
    fields = CONTROL % version
    place = f"Filename: ./{deb.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
    head, description = fields.split("Description:", 1)
    return f"{head}{place}Description:{description}\n"


def install(tree: pathlib.Path) -> None:
    """Puts the old version into the tree as installed, the newer one into its repository, and makes that apt's only source."""
    repo = tree / FOLDER
    repo.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as tmp:
        old = build_deb(INSTALLED, pathlib.Path(tmp))
        shutil.copy(old, tree / "tmp" / old.name)
        subprocess.run(["chroot", tree, "dpkg", "--install", f"/tmp/{old.name}"], check=True, stdout=subprocess.DEVNULL)
        (tree / "tmp" / old.name).unlink()
    new = build_deb(NEWER, repo)
    packages = index(new, NEWER).encode()
    (repo / "Packages").write_bytes(packages)
    checksum = f" {hashlib.sha256(packages).hexdigest()} {len(packages)} Packages\n"
    (repo / "Release").write_text(f"Origin: minicloud\nLabel: minicloud\nSuite: stable\nSHA256:\n{checksum}")
    for stale in (tree / "etc/apt/sources.list.d").glob("*"):
        stale.unlink()
    (tree / "etc/apt/sources.list").write_text("# the mini cloud's instances have no network: see sources.list.d\n")
    (tree / "etc/apt/sources.list.d/minicloud.list").write_text(SOURCE_LINE)
    for lists in (tree / "var/lib/apt/lists").glob("*_*"):
        lists.unlink()
