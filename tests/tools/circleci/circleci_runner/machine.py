"""Owns one job on one container: its home, its environment as CircleCI sets it, and its steps, one after the other.

Each `run` is a shell of its own that reads BASH_ENV. A step's `when` says whether it runs after a failure; artifacts and test results are stored after a
failure too. A job that is killed (its time is over, or somebody cancels it) does none of that. `circleci-agent step halt` ends the job well. Background
steps end with the job. Nothing is inherited from this process's environment but what the caller gives as the machine's.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import time
from typing import Any

from . import ConfigError, keys, oidc, program_server, storage, transport
from .compile import Job, Step
from .keys import Key

AGENT = '#!/bin/sh\n[ "$1 $2" = "step halt" ] || { echo "circleci-agent $*: not known" >&2; exit 64; }\n: > "$CIRCLE_INTERNAL_HALT"\n'


class Killed(Exception):
    """The job's time is over, or it was cancelled."""


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
    kind: str
    deploy_key: Key
    keys: list[Key]
    claims: dict[str, Any] | None
    time_limit: float | None = None
    cancel: pathlib.Path | None = None


class Machine:
    """One container with one job."""

    def __init__(self, job: Job, place: Place, environment: dict[str, str]) -> None:
        self.job, self.place = job, place
        place.home.mkdir(parents=True)
        self.folder = storage.expand(job.working_directory, place.home, place.home)
        self.halt = place.home / ".circleci-halt"
        self.tools = place.home / ".circleci-bin"
        self.tools.mkdir()
        self.tool("circleci-agent", AGENT)
        self.stand_in("ssh", transport.__file__, self.host_facts())
        if place.claims is not None:
            self.stand_in("circleci", oidc.__file__, place.claims)
        bash_env = place.home / ".bash_env"
        bash_env.touch()
        self.environment = environment | job.environment | {
            "HOME": str(place.home), "BASH_ENV": str(bash_env), "CIRCLE_INTERNAL_HALT": str(self.halt),
            "CIRCLE_WORKING_DIRECTORY": job.working_directory, "PATH": f"{self.tools}:{environment['PATH']}",
        }  # fmt: skip
        self.background: list[subprocess.Popen[bytes]] = []
        self.end = time.monotonic() + place.time_limit if place.time_limit is not None else None

    def tool(self, name: str, text: str) -> None:
        """A program of CircleCI's on the job's PATH."""
        (self.tools / name).write_text(text)
        (self.tools / name).chmod(0o755)

    def stand_in(self, name: str, script: str, facts: dict[str, Any]) -> None:
        """A program that a script of ours plays."""
        file = self.tools / f".{name}.json"
        file.write_text(json.dumps(facts))
        self.tool(name, program_server.server().script(script, str(file)))

    def host_facts(self) -> dict[str, Any]:
        """What the git host knows: the repository, and what each key may do there."""
        every = [self.place.deploy_key, *self.place.keys]
        of = {right: [key.file.read_text() for key in every if key.write == right] for right in (True, False)}
        return {"remote": self.place.remote, "host": keys.HOST, "path": keys.PATH, "write": of[True], "read": of[False]}

    def run(self) -> dict[str, Any]:
        """Runs the steps; the record of the container."""
        steps, failed, halted, killed = [], False, False, False
        try:
            for number, step in enumerate(self.job.steps):
                if killed or halted or not self.wanted(step, failed):
                    steps.append({"name": step.name, "kind": step.kind, "status": "skipped"})
                    continue
                try:
                    record = self.step(number, step)
                except Killed as why:
                    record = {"name": step.name, "kind": step.kind, "status": "killed", "error": str(why)}
                    killed = True
                steps.append(record)
                failed = failed or record["status"] == "failed"
                halted = self.halt.exists()
        finally:
            self.end_background()
        status = "killed" if killed else "failed" if failed else "success"
        return {"status": status, "halted": halted, "steps": steps}

    @staticmethod
    def wanted(step: Step, failed: bool) -> bool:
        """Whether a step runs, given what was before it."""
        when = step.body.get("when", "on_success")
        if step.kind in ("store_artifacts", "store_test_results") or when == "always":
            return True
        return failed == (when == "on_fail")

    def step(self, number: int, step: Step) -> dict[str, Any]:
        """Runs one step, again where it asks for that after a failure; its record. Delays between are not waited for."""
        seconds(str(step.body.get("auto_rerun_delay", "0s")))
        for attempt in range(1, 2 + int(step.body.get("max_auto_reruns", 0))):
            record = self.attempt(number, step) | {"attempts": attempt}
            if record["status"] == "success":
                break
        return record

    def attempt(self, number: int, step: Step) -> dict[str, Any]:
        """Runs one step once."""
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
        output.unlink(missing_ok=True)
        # Appended to, also by the programs that we play, which open it anew.
        with output.open("ab") as log:
            child = subprocess.Popen(
                [*shell, str(script)], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
            if body.get("background"):
                self.background.append(child)
                return 0, {"command": body["command"], "background": True}
            exit_code, late = self.wait(child, output, seconds(str(body.get("no_output_timeout", "10m"))))
        return exit_code, {"command": body["command"]} | ({"error": "no output for too long"} if late else {})

    def wait(self, child: subprocess.Popen[bytes], output: pathlib.Path, silence: float) -> tuple[int, bool]:
        """(exit code, whether it was ended because it said nothing for `silence` seconds)."""
        # A descriptor of the process wakes us at its very end; asking again and again would cost tens of milliseconds for each step.
        size, since, process = -1, time.monotonic(), os.pidfd_open(child.pid)
        try:
            while not select.select([process], [], [], 0.5 if self.place.cancel is None else 0.05)[0]:
                if why := self.why_killed():
                    end_group(child)
                    raise Killed(why)
                now = output.stat().st_size
                if now != size:
                    size, since = now, time.monotonic()
                elif time.monotonic() - since > silence:
                    end_group(child)
                    return 1, True
        finally:
            os.close(process)
        return child.wait(), False

    def why_killed(self) -> str:
        """Why the job is to be killed now; empty: it is not."""
        if self.end is not None and time.monotonic() > self.end:
            return "the job's time is over"
        return "somebody cancelled the job" if self.place.cancel is not None and self.place.cancel.exists() else ""

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

    def origin(self) -> str:
        """Where `checkout` clones from. By SSH with the project's own key, which may only read; on GitHub App projects by https, where no key counts."""
        if self.place.kind != "app":
            keys.lay_down(self.place.deploy_key, self.place.home, "id_rsa")
            with (self.place.home / ".ssh/known_hosts").open("a") as known:
                known.write(f"{keys.HOST} {self.place.deploy_key.public}\n")
            return f"git@{keys.HOST}:{keys.PATH}.git"
        url = f"https://{keys.HOST}/{keys.PATH}.git"
        rules = ["config", "--file", str(self.place.home / ".gitconfig")]
        self.git(*rules, f"url.{self.place.remote}.insteadOf", url)
        self.git(*rules, f"url./the token of a GitHub App's checkout may only read/.pushInsteadOf", url)
        return url

    def do_checkout(self, body: dict[str, Any], output: pathlib.Path) -> tuple[int, dict[str, Any]]:
        """Clones the remote and checks out the pipeline's revision on its branch."""
        if body.get("method", "blobless") not in ("blobless", "full"):
            raise ConfigError(f"checkout: no method {body['method']!r}")
        folder = storage.expand(str(body.get("path", ".")), self.place.home, self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        branch, revision = self.environment.get("CIRCLE_BRANCH"), self.environment["CIRCLE_SHA1"]
        objects = [] if body.get("method") == "full" else ["--filter=blob:none"]
        self.git("clone", "--quiet", "--no-checkout", *objects, self.origin(), ".", folder=folder)
        if self.place.fork:
            self.git("fetch", "--quiet", "origin", f"refs/{branch}/head", folder=folder)
        where = ["-B", branch] if branch else ["--detach"]
        self.git("checkout", "--quiet", "--force", *where, revision, folder=folder)
        return 0, {"revision": revision}

    def do_add_ssh_keys(self, body: dict[str, Any], output: pathlib.Path) -> tuple[int, dict[str, Any]]:
        """Lays down additional keys of the project; a fork's job is given none."""
        found = []
        for wanted in body.get("fingerprints", [key.fingerprint for key in self.place.keys]):
            key = next((key for key in self.place.keys if key.is_called(wanted)), None)
            if key is None:
                raise ConfigError(f"add_ssh_keys: the project has no additional SSH key {wanted!r}")
            found.append(key)
        for key in [] if self.place.fork else found:
            keys.lay_down(key, self.place.home, f"id_rsa_{key.md5}")
        return 0, {"keys": [key.fingerprint for key in found]}

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
        wanted = body.get("keys") or [body["key"]]
        return 0, {"cache": self.place.caches.restore(wanted, self.place.home, self.folder, self.environment)}

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
