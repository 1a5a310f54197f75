"""Owns one job on one container: its home, its environment as CircleCI sets it, and its steps, one after the other.

Each `run` is a shell of its own that reads BASH_ENV. A step's `when` says whether it runs after a failure; artifacts and test results are stored after a
failure too. `circleci-agent step halt` ends the job well. Background steps end with the job. Nothing is inherited from this process's environment but
what the caller gives as the machine's.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import select
import signal
import subprocess
import time
from typing import Any

from . import ConfigError, storage
from .compile import Job, Step

AGENT = '#!/bin/sh\n[ "$1 $2" = "step halt" ] || { echo "circleci-agent $*: not known" >&2; exit 64; }\n: > "$CIRCLE_INTERNAL_HALT"\n'
OIDC = '#!/bin/sh\n[ "$1 $2 $3" = "run oidc get" ] || { echo "circleci $*: not known" >&2; exit 64; }\nprintf "%s.anew" "$CIRCLE_OIDC_TOKEN_V2"\n'


@dataclasses.dataclass
class Place:
    """Where a container's job runs: folders that are its own, and those that it shares."""

    home: pathlib.Path
    artifacts: pathlib.Path
    caches: storage.Caches
    workspace: storage.Workspace
    upstream: list[str]
    remote: str
    fork: bool


class Machine:
    """One container with one job."""

    def __init__(self, job: Job, place: Place, environment: dict[str, str]) -> None:
        self.job, self.place = job, place
        place.home.mkdir(parents=True)
        self.folder = storage.expand(job.working_directory, place.home, place.home)
        self.halt = place.home / ".circleci-halt"
        tools = place.home / ".circleci-bin"
        tools.mkdir()
        for name, text in (("circleci-agent", AGENT), ("circleci", OIDC)):
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        bash_env = place.home / ".bash_env"
        bash_env.touch()
        self.environment = environment | job.environment | {
            "HOME": str(place.home), "BASH_ENV": str(bash_env), "CIRCLE_INTERNAL_HALT": str(self.halt),
            "CIRCLE_WORKING_DIRECTORY": job.working_directory, "PATH": f"{tools}:{environment['PATH']}",
        }  # fmt: skip
        self.background: list[subprocess.Popen[bytes]] = []

    def run(self) -> dict[str, Any]:
        """Runs the steps; the record of the container."""
        steps, failed, halted = [], False, False
        try:
            for number, step in enumerate(self.job.steps):
                if halted or not self.wanted(step, failed):
                    steps.append({"name": step.name, "kind": step.kind, "status": "skipped"})
                    continue
                record = self.step(number, step)
                steps.append(record)
                failed = failed or record["status"] == "failed"
                halted = self.halt.exists()
        finally:
            self.end_background()
        return {"status": "failed" if failed else "success", "halted": halted, "steps": steps}

    @staticmethod
    def wanted(step: Step, failed: bool) -> bool:
        """Whether a step runs, given what was before it."""
        when = step.body.get("when", "on_success")
        if step.kind in ("store_artifacts", "store_test_results") or when == "always":
            return True
        return failed == (when == "on_fail")

    def step(self, number: int, step: Step) -> dict[str, Any]:
        """Runs one step; its record."""
        record: dict[str, Any] = {"name": step.name, "kind": step.kind, "started": round(time.time(), 3)}
        output = self.place.artifacts / "steps" / f"{number:02d}.txt"
        output.parent.mkdir(parents=True, exist_ok=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            exit_code, said = getattr(self, "do_" + step.kind)(step.body, output)
        except (ConfigError, OSError) as error:
            exit_code, said = 1, {"error": str(error)}
        record |= {"status": "success" if exit_code == 0 else "failed", "exit": exit_code, "output": str(output), **said}
        record["seconds"] = round(time.time() - record["started"], 3)
        return record

    def do_run(self, body: dict[str, Any], output: pathlib.Path) -> tuple[int, dict[str, Any]]:
        shell = str(body["shell"]).split() if "shell" in body else self.job.shell
        script = output.with_suffix(".sh")
        script.write_text(body["command"])
        folder = storage.expand(str(body.get("working_directory", ".")), self.place.home, self.folder)
        environment = self.environment | {key: str(value) for key, value in body.get("environment", {}).items()}
        with output.open("wb") as log:
            child = subprocess.Popen(
                [*shell, str(script)], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
            if body.get("background"):
                self.background.append(child)
                return 0, {"command": body["command"], "background": True}
            exit_code, late = self.wait(child, output, seconds(str(body.get("no_output_timeout", "10m"))))
        return exit_code, {"command": body["command"]} | ({"error": "no output for too long"} if late else {})

    @staticmethod
    def wait(child: subprocess.Popen[bytes], output: pathlib.Path, silence: float) -> tuple[int, bool]:
        """(exit code, whether it was ended because it said nothing for `silence` seconds)."""
        # A descriptor of the process wakes us at its very end; asking again and again would cost tens of milliseconds for each step.
        size, since, process = -1, time.monotonic(), os.pidfd_open(child.pid)
        try:
            while not select.select([process], [], [], 0.5)[0]:
                now = output.stat().st_size
                if now != size:
                    size, since = now, time.monotonic()
                elif time.monotonic() - since > silence:
                    end_group(child)
                    return 1, True
        finally:
            os.close(process)
        return child.wait(), False

    def end_background(self) -> None:
        """Ends what background steps left running."""
        for child in self.background:
            end_group(child)

    def git(self, *arguments: str, folder: pathlib.Path | None = None) -> None:
        done = subprocess.run(
            ["git", *arguments], cwd=folder or self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise ConfigError(f"checkout: git {' '.join(arguments)}: {done.stderr.strip()}")

    def do_checkout(self, body: dict[str, Any], output: pathlib.Path) -> tuple[int, dict[str, Any]]:
        """Clones the remote and checks out the pipeline's revision on its branch; a fork's job has no key that may push."""
        if body.get("method", "blobless") not in ("blobless", "full"):
            raise ConfigError(f"checkout: no method {body['method']!r}")
        folder = storage.expand(str(body.get("path", ".")), self.place.home, self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        branch, revision = self.environment.get("CIRCLE_BRANCH"), self.environment["CIRCLE_SHA1"]
        self.git("clone", "--quiet", "--no-checkout", self.place.remote, ".", folder=folder)
        if self.place.fork:
            self.git("fetch", "--quiet", "origin", f"refs/{branch}/head", folder=folder)
            self.git("config", "remote.origin.pushurl", "/a fork has no key that may push", folder=folder)
        where = ["-B", branch] if branch else ["--detach"]
        self.git("checkout", "--quiet", "--force", *where, revision, folder=folder)
        return 0, {"revision": revision}

    def do_persist_to_workspace(self, body: dict[str, Any], output: pathlib.Path) -> tuple[int, dict[str, Any]]:
        root = storage.expand(body["root"], self.place.home, self.folder)
        return 0, {"persisted": self.place.workspace.persist(self.job.name, root, body["paths"])}

    def do_attach_workspace(self, body: dict[str, Any], output: pathlib.Path) -> tuple[int, dict[str, Any]]:
        target = storage.expand(body["at"], self.place.home, self.folder)
        return 0, {"attached": self.place.workspace.attach(self.place.upstream, target)}

    def do_save_cache(self, body: dict[str, Any], output: pathlib.Path) -> tuple[int, dict[str, Any]]:
        key = self.place.caches.key(body["key"], self.folder, self.place.home, self.environment)
        return 0, {"cache": self.place.caches.save(key, body["paths"], self.place.home, self.folder)}

    def do_restore_cache(self, body: dict[str, Any], output: pathlib.Path) -> tuple[int, dict[str, Any]]:
        keys = body.get("keys") or [body["key"]]
        return 0, {"cache": self.place.caches.restore(keys, self.place.home, self.folder, self.environment)}

    def do_store_artifacts(self, body: dict[str, Any], output: pathlib.Path) -> tuple[int, dict[str, Any]]:
        source = storage.expand(body["path"], self.place.home, self.folder)
        target = self.place.artifacts / "artifacts" / str(body.get("destination", source.name))
        return 0, {"stored": storage.keep("artifacts", source, target)}

    def do_store_test_results(self, body: dict[str, Any], output: pathlib.Path) -> tuple[int, dict[str, Any]]:
        source = storage.expand(body["path"], self.place.home, self.folder)
        found = storage.test_results(body["path"], source)
        storage.keep("test results", source, self.place.artifacts / "test-results")
        return 0, {"results": found}


def seconds(text: str) -> float:
    """A duration like 30m, 1.5h or 1m30s."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ConfigError(f"no duration: {text!r}")
    return sum(float(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in parts)


def end_group(child: subprocess.Popen[bytes]) -> None:
    """Ends a step with all of its processes."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, kind)
        except ProcessLookupError:
            break
        try:
            child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            continue
        break
    child.wait()
