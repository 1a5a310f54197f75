"""Owns a newer version of the mini cloud's package turning up in the apt repository of every stock image: how "there are patches" comes about in a test.

A file of its own, since `aptrepo` is part of the stamp of the trees that are made once. Images that were built keep what they have.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re

from .aptrepo import FOLDER, PACKAGE, build_deb, index
from .cloud import BASE_IMAGES, REGIONS, Cloud


def publish(cloud: Cloud, version: str) -> dict[str, str]:
    """Puts a layer with a repository that offers `version` on top of every stock image, in all regions; instances that run do not see it."""
    if not re.fullmatch(r"[0-9][0-9A-Za-z.+~-]*", version):
        raise ValueError(f"{version!r} is no Debian version")
    layer = f"apt-{version}"
    repo = cloud.state / layer / FOLDER
    if repo.exists():
        raise ValueError(f"{version} is published already")
    repo.mkdir(parents=True)
    for path in (repo, *list(repo.parents)[: len(repo.relative_to(cloud.state).parts) - 1]):
        path.chmod(0o755)
    packages = index(build_deb(version, repo), version).encode()
    (repo / "Packages").write_bytes(packages)
    checksum = f" {hashlib.sha256(packages).hexdigest()} {len(packages)} Packages\n"
    (repo / "Release").write_text(f"Origin: minicloud\nLabel: minicloud\nSuite: stable\nSHA256:\n{checksum}")
    with cloud.lock:
        for image in BASE_IMAGES:
            for region in REGIONS:
                layers = cloud.layers[image.id_in(region)]
                cloud.layers[image.id_in(region)] = dataclasses.replace(layers, folders=(layer, *layers.folders))
    return {"package": PACKAGE, "version": version}
