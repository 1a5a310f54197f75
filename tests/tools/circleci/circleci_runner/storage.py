"""Owns what outlives a job: caches (of a project, or of one fork), the workspace of a workflow, artifacts and test results of a job.

Refuses a test result in a hidden folder (CircleCI does not find it) and one that is no JUnit XML.
"""

from __future__ import annotations

import hashlib
import pathlib
import platform
import re
import shutil
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from typing import Any

from . import ConfigError


def expand(path: str, home: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """A path of the YAML: `~` is the job's home, everything else starts at its working directory."""
    if path == "~" or path.startswith("~/"):
        return home / path[2:]
    return folder / path


def copy(source: pathlib.Path, target: pathlib.Path) -> None:
    """Copies a file or a folder, modes and links kept, over what is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


class Caches:
    """Folders by key. A key is written once. `planted`: key templates whose content was there before, from a folder that stands for the root `/`."""

    def __init__(self, root: pathlib.Path, planted: dict[str, pathlib.Path]) -> None:
        self.root, self.planted = root, planted
        root.mkdir(parents=True, exist_ok=True)

    def key(self, template: str, folder: pathlib.Path, home: pathlib.Path, environment: dict[str, str]) -> str:
        """A key with its `{{ }}` filled, as CircleCI's page on caching lists them."""

        def fill(match: re.Match[str]) -> str:
            word = match.group(1).strip()
            if checksum := re.fullmatch(r'checksum\s+"([^"]+)"', word):
                path = expand(checksum.group(1), home, folder)
                if not path.is_file():
                    raise ConfigError(f"checksum of {path}: there is no such file")
                return hashlib.sha256(path.read_bytes()).hexdigest()
            if named := re.fullmatch(r"\.Environment\.(\w+)", word):
                return environment.get(named.group(1), "")
            known = {"arch": f"{platform.system()}-{platform.machine()}".lower(), "epoch": str(int(time.time()))}
            known |= {".Branch": environment.get("CIRCLE_BRANCH", ""), ".Revision": environment.get("CIRCLE_SHA1", "")}
            if word not in known:
                raise ConfigError(f"{{{{ {word} }}}} is not known in a key")
            return known[word]

        return re.sub(r"\{\{(.*?)\}\}", fill, template)

    def save(self, key: str, paths: list[str], home: pathlib.Path, folder: pathlib.Path) -> str:
        """Keeps paths under a key; what it did, in words."""
        place = self.root / hashlib.sha256(key.encode()).hexdigest()
        if place.exists():
            return f"{key} is there already"
        # Whole or not at all: another job may look for it meanwhile, or save the same.
        begun = pathlib.Path(tempfile.mkdtemp(prefix="cache-", dir=self.root.parent))
        for index, path in enumerate(paths):
            source = expand(path, home, folder)
            if source.exists():
                copy(source, begun / str(index) / "content")
                (begun / str(index) / "path").write_text(path)
        (begun / "key").write_text(key)
        try:
            begun.rename(place)
        except OSError:
            shutil.rmtree(begun)
            return f"{key} is there already"
        return f"saved {key}"

    def restore(self, templates: list[str], home: pathlib.Path, folder: pathlib.Path, environment: dict[str, str]) -> str | None:
        """Puts back the first key that is there, or the newest that begins so; the key found, or None."""
        for template in templates:
            wanted = self.key(template, folder, home, environment)
            if template in self.planted:
                copy(self.planted[template], home)
                return wanted
            entries = sorted(self.root.glob("*/key"), key=lambda path: path.stat().st_mtime, reverse=True)
            for entry in entries:
                if (key := entry.read_text()).startswith(wanted):
                    for path in entry.parent.glob("*/path"):
                        copy(path.parent / "content", expand(path.read_text(), home, folder))
                    return key
        return None


class Workspace:
    """What the jobs of one workflow hand on. A job sees what those that it requires, directly or not, have persisted."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root

    def persist(self, job: str, source: pathlib.Path, paths: list[str]) -> int:
        """Keeps files below `source`; how many paths there were. A pattern that matches nothing is an error, as with CircleCI."""
        count = 0
        for pattern in paths:
            found = [source] if pattern == "." else sorted(source.glob(pattern))
            if not found or not source.exists():
                raise ConfigError(f"persist_to_workspace: {pattern} matches nothing below {source}")
            for path in found:
                copy(path, self.root / job / path.relative_to(source))
                count += 1
        return count

    def attach(self, upstream: list[str], target: pathlib.Path) -> int:
        """Lays down what the jobs upstream persisted; how many of them had something."""
        layers = [self.root / job for job in upstream if (self.root / job).is_dir()]
        for layer in layers:
            copy(layer, target)
        return len(layers)


def keep(kind: str, source: pathlib.Path, target: pathlib.Path) -> str:
    """Keeps artifacts or test results; a missing path is a remark, as with CircleCI."""
    if not source.exists():
        return f"nothing at {source}"
    copy(source, target / source.name if source.is_file() else target)
    return f"{kind} from {source}"


def test_results(path: str, source: pathlib.Path) -> dict[str, Any]:
    """The number of tests and failures in all JUnit files below a path."""
    if any(part.startswith(".") and part not in (".", "..") for part in pathlib.PurePath(path).parts):
        raise ConfigError(f"store_test_results: CircleCI does not look into hidden folders: {path}")
    files = sorted(source.rglob("*.xml")) if source.is_dir() else [source] if source.exists() else []
    total = {"files": len(files), "tests": 0, "failures": 0}
    for file in files:
        try:
            tree = ElementTree.parse(file).getroot()
        except ElementTree.ParseError as error:
            raise ConfigError(f"store_test_results: {file} is no XML: {error}") from None
        cases = list(tree.iter("testcase"))
        total["tests"] += len(cases)
        total["failures"] += sum(1 for case in cases if case.find("failure") is not None or case.find("error") is not None)
    return total
