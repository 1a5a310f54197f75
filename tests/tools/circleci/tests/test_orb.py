"""The orb's source: it holds together by itself, its example is one that CircleCI's rules allow, and its way to another project's pipeline works."""

from __future__ import annotations

import http.server
import json
import pathlib
import subprocess
import threading
from typing import Any

import pytest
import yaml
from circleci_runner import check
from world import ROOT

ORB = ROOT / ".circleci/orb"


def read(folder: str) -> dict[str, Any]:
    """Name → content of each file of a folder, includes left as they are."""
    return {path.stem: yaml.safe_load(path.read_text()) for path in sorted((ORB / folder).glob("*.yml"))}


def test_every_job_of_the_orb_compiles() -> None:
    jobs = read("jobs")
    given = {"build": {"images": "base"}, "validate": {"image": "base"}, "promote": {"image": "base"}, "validate-elsewhere": {"image": "base", "project": "gh/a/b"}}
    flow = {"jobs": [{name: given.get(name, {})} for name in jobs]}
    config = {"version": 2.1, "executors": read("executors"), "commands": read("commands"), "jobs": jobs, "workflows": {"all": flow}}
    text = yaml.safe_dump(config, sort_keys=False).replace("<<include(", "include(")
    assert set(check.summary(text)["all"]) == set(jobs)


def test_every_script_is_included_somewhere() -> None:
    texts = "".join(path.read_text() for path in ORB.rglob("*.yml"))
    for script in (ORB / "scripts").iterdir():
        assert f"<<include(scripts/{script.name})>>" in texts
        assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


def test_the_example_is_the_flow_of_this_repository() -> None:
    example = yaml.safe_load((ORB / "examples/images.yml").read_text())["usage"]
    ours = yaml.safe_load((ROOT / ".circleci/workflows.yml").read_text())
    assert {name: body["type"] for name, body in example["parameters"].items()} == {name: body["type"] for name, body in ours["parameters"].items()}
    for name, flow in ours["workflows"].items():
        theirs = example["workflows"][name]
        assert theirs["when"] == flow["when"]
        assert [_keys(job, "assay/") for job in theirs["jobs"]] == [_keys(job, "") for job in flow["jobs"]]
        assert [_group(job) for job in theirs["jobs"]] == [_group(job) for job in flow["jobs"]]


def _keys(job: Any, prefix: str) -> tuple[str, list[str]]:
    """A job's name without the orb's, and what its place in the workflow says; where assay's sources are is each repository's own."""
    name, body = (job, {}) if isinstance(job, str) else next(iter(job.items()))
    assert name.startswith(prefix)
    own = {"name", "requires", "context", "filters", "matrix", "serial-group"}
    return name.removeprefix(prefix), sorted(key for key in body if key in own and not (key == "name" and prefix and name.endswith("assay-binary")))


def _group(job: Any) -> str | None:
    """The serial group of a job's place."""
    return None if isinstance(job, str) else next(iter(job.values())).get("serial-group")


class Api(http.server.BaseHTTPRequestHandler):
    """The few requests of CircleCI's API v2, https://circleci.com/docs/api/v2/, that the script makes."""

    verdict = "success"
    asked: list[tuple[str, Any]] = []
    polls = 0

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked.append((self.path, body))
        self.answer({"id": "p1", "number": 5, "state": "pending"}, 201)

    def do_GET(self) -> None:
        here = f"http://{self.headers['Host']}"
        paths = {
            "/pipeline/p1/workflow": {"items": self.workflows(), "next_page_token": None},
            "/workflow/w1/job": {"items": [{"job_number": 11, "name": "validate"}, {"name": "hold", "type": "approval"}]},
            "/project/gh/acme/validation/11/artifacts": {"items": [
                {"path": f"validation/{name}", "url": f"{here}/files/{name}"} for name in ("evidence.json", "evidence.json.sig", "report.txt")
            ]},
            "/files/evidence.json": {"run": "R"},
            "/files/evidence.json.sig": {"signature": 1},
        }  # fmt: skip
        self.answer(paths.get(self.path, {}), 200 if self.path in paths else 404)

    def workflows(self) -> list[dict[str, str]]:
        """None yet, then one that runs, then one that has ended."""
        type(self).polls += 1
        return [[], [{"id": "w1", "name": "validate", "status": "running"}], [{"id": "w1", "name": "validate", "status": self.verdict}]][min(self.polls, 3) - 1]

    def answer(self, body: Any, status: int) -> None:
        allowed = self.headers["Circle-Token"] == "t0ken"
        self.send_response(status if allowed else 401)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode() if allowed else b"")

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.mark.parametrize(("verdict", "token", "code"), [("success", "t0ken", 0), ("failed", "t0ken", 1), ("success", "wrong", 22)])
def test_another_projects_pipeline_gives_the_evidence(verdict: str, token: str, code: int, tmp_path: pathlib.Path) -> None:
    Api.verdict, Api.asked, Api.polls = verdict, [], 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        "PATH": "/usr/bin:/bin", "CIRCLE_TOKEN": token, "CIRCLE_API": f"http://127.0.0.1:{server.server_port}", "VALIDATION_POLL": "0",
        "VALIDATION_IMAGE": "base", "VALIDATION_PROJECT": "gh/acme/validation", "VALIDATION_BRANCH": "main",
        "CIRCLE_REPOSITORY_URL": "git@github.com:acme/images.git", "CIRCLE_SHA1": "a" * 40,
    }  # fmt: skip
    script = ["/bin/bash", "-eo", "pipefail", str(ORB / "scripts/validate-elsewhere.sh")]
    done = subprocess.run(script, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    server.shutdown()
    assert done.returncode == code, done.stdout + done.stderr
    if code == 0:
        parameters = {"image": "base", "repository": "git@github.com:acme/images.git", "commit": "a" * 40}
        assert Api.asked == [("/project/gh/acme/validation/pipeline", {"branch": "main", "parameters": parameters})]
        assert sorted(path.name for path in (tmp_path / "build/evidence/base").iterdir()) == ["evidence.json", "evidence.json.sig"]
