"""The orb's source: it holds together by itself, its example is one that CircleCI's rules allow, and its way to another project's pipeline works."""

from __future__ import annotations

import http.server
import json
import pathlib
import runpy
import subprocess
import threading
import urllib.parse
from typing import Any, Callable, Iterator

import pytest
import yaml
from circleci_runner import check
from world import ROOT

ORB = ROOT / ".circleci/orb"
PACK = runpy.run_path(str(ROOT / "scripts/ci/pack"))


def read(folder: str) -> dict[str, Any]:
    """Name → content of each file of a folder, includes left as they are."""
    return {path.stem: yaml.safe_load(path.read_text()) for path in sorted((ORB / folder).glob("*.yml"))}


def packed(**places: dict[str, Any]) -> str:
    """A configuration of all jobs of the orb, each with what it must be given, made by the very script that makes config.yml."""
    given = {"build": {"images": "base"}, "validate": {"image": "base"}, "promote": {"image": "base"}, "validate-elsewhere": {"image": "base", "project": "gh/a/b"}}
    names = sorted(path.stem for path in (ORB / "jobs").glob("*.yml"))
    flow = {"jobs": [{name: given.get(name, {}) | places.get(name, {})} for name in names]}
    workflows = yaml.safe_dump({"workflows": {"all": flow}}, sort_keys=False)
    return "version: 2.1\n" + workflows + "\n".join(PACK["section"](kind, every=True) for kind in ("executors", "commands", "jobs"))


def test_every_job_of_the_orb_compiles() -> None:
    """`<<` of the shell included: unescaped, CircleCI starts no pipeline."""
    assert set(check.summary(packed())["all"]) == {path.stem for path in (ORB / "jobs").glob("*.yml")}


def test_a_shell_s_own_signs_are_escaped(tmp_path: pathlib.Path) -> None:
    (tmp_path / "orb").mkdir()
    (tmp_path / "orb/x.sh").write_text("cat <<< a\n")
    pack = runpy.run_path(str(ROOT / "scripts/ci/pack"))
    pack["included"].__globals__["FOLDER"] = tmp_path
    assert pack["included"]("command: <<include(x.sh)>>") == "command: |\n  cat \\<<< a"


def test_executors_and_where_assay_is_from_can_be_chosen() -> None:
    """An executor of one's own, with assay in its image: nothing is taken from a workspace that some branch has filled."""
    mine = {"executor": {"name": "default", "git_name": "robot", "git_email": "robot@example.com", "resource_class": "xlarge"}, "assay_from": "image"}
    found = check.summary(packed(build=mine))["all"]["build"]
    assert (found["environment"]["GIT_COMMITTER_NAME"], found["environment"]["GIT_AUTHOR_EMAIL"]) == ("robot", "robot@example.com")
    assert "attach_workspace" not in found["steps"]
    assert "attach_workspace" in check.summary(packed())["all"]["build"]["steps"]
    for name, job in read("jobs").items():
        assert job["executor"] == "<< parameters.executor >>", name


def test_the_playbook_names_modules_that_every_supported_ansible_has() -> None:
    """The image of the executor is Ubuntu 22.04, whose ansible-core is 2.12: no `systemd_service`, which came with 2.14."""
    plays = yaml.safe_load((ROOT / "packer/app/ansible/site.yml").read_text())
    modules = {key for play in plays for task in play["tasks"] for key in task if key.startswith("ansible.")}
    assert modules <= {f"ansible.builtin.{name}" for name in ("user", "file", "copy", "template", "systemd")}


def test_the_cache_s_key_is_made_of_all_that_assay_is_built_from() -> None:
    """A change in a folder that the key leaves out would go on with the assay of before it."""
    (command,) = [step["run"]["command"] for step in read("jobs")["assay-binary"]["steps"] if "ls-files" in str(step)]
    named = set(command.partition("--stage ")[2].partition(";")[0].split())
    others = {"tests", "benches", "examples", "docs", "packer", "scripts", "target", "build"}
    here = [path for path in ROOT.iterdir() if path.name not in others and not path.name.startswith(".")]
    sources = {path.name for path in here if path.is_dir() and any(path.rglob("*.rs")) or path.suffix in (".rs", ".lock")} | {"Cargo.toml", "proto"}
    assert named == sources


FRESH = '''
sleep() { echo "$1" >> slept; [ "$(wc -l < slept)" -le 4 ]; }
circleci() { echo "$*" >> asked; [ "$(wc -l < asked)" != 2 ] && echo token; }
'''


def test_a_token_that_was_not_to_be_had_is_asked_for_again_at_once(tmp_path: pathlib.Path) -> None:
    script = FRESH + (ORB / "scripts/fresh-token.sh").read_text()
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "CIRCLE_ORGANIZATION_ID": "o"}
    done = subprocess.run(["/bin/bash", "-eo", "pipefail", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (tmp_path / "slept").read_text().split() == ["1200", "1200", "30", "1200", "1200"]
    assert (tmp_path / "asked").read_text().splitlines()[0] == 'run oidc get --claims {"aud": "o"}'
    assert "no fresh OIDC token" in done.stderr and (tmp_path / ".aws-token").read_text() == "token\n"


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
    """The few requests of CircleCI's API v2, https://circleci.com/docs/api/v2/, that the script makes, two items of each list on a page of its own."""

    verdict = "success"
    evidence = {11: ["validation/evidence.json", "validation/evidence.json.sig"], 12: []}
    posts: list[tuple[str, Any]] = []
    strangers: list[str] = []
    polls = 0
    refuses = 0
    storage = ""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).posts.append((self.path, body))
        if self.refuses:
            self.answer({"message": "Definition not found"}, self.refuses)
        else:
            self.answer({"id": "p1", "number": 5, "state": "pending"}, 201)

    def do_GET(self) -> None:
        if self.headers["Host"] in self.storage:
            type(self).strangers += [self.headers.get("Circle-Token") or "none"]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"content of {self.path}".encode())
            return
        path, _, query = self.path.partition("?")
        here, token = f"http://{self.headers['Host']}", urllib.parse.parse_qs(query).get("page-token", [""])[0]
        lists = {
            "/pipeline/p1/workflow": self.workflows() if path.endswith("/p1/workflow") else [],
            "/workflow/w0/job": [],
            "/workflow/w1/job": [{"name": "hold", "type": "approval"}, {"job_number": 11, "name": "validate"}, {"job_number": 12, "name": "other"}],
        } | {
            f"/project/gh/acme/validation/{job}/artifacts": [{"path": "report.txt", "node_index": 0, "url": f"{here}/files/report.txt"}, *[
                {"path": name, "node_index": 0, "url": f"{here}/files/{job}/{name}"} for name in names
            ]]
            for job, names in self.evidence.items()
        }  # fmt: skip
        if path.startswith("/files/"):
            self.send_response(302)
            self.send_header("Location", f"{self.storage}{path}")
            self.end_headers()
        elif path in lists:
            at = int(token or 0)
            more = str(at + 1) if at + 1 < len(lists[path]) else None
            self.answer({"items": lists[path][at : at + 1], "next_page_token": more}, 200)
        else:
            self.answer({"message": "Not found"}, 404)

    def workflows(self) -> list[dict[str, str]]:
        """None yet, then one that runs, then two, of which the second page's decides."""
        type(self).polls += 1
        setup = {"id": "w0", "name": "setup", "status": "success"}
        of = lambda status: {"id": "w1", "name": "validate", "status": status}  # noqa: E731
        return [[], [of("running")]][self.polls - 1] if self.polls < 3 else [setup, of(self.verdict)]

    def answer(self, body: Any, status: int) -> None:
        allowed = self.headers["Circle-Token"] == "t0ken"
        self.send_response(status if allowed else 401)
        self.end_headers()
        self.wfile.write(json.dumps(body if allowed else {"message": "You must log in first."}).encode())

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def elsewhere(tmp_path: pathlib.Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Runs the script in a clone, against an API that begins anew."""
    Api.verdict, Api.posts, Api.strangers, Api.polls, Api.refuses = "success", [], [], 0, 0
    Api.evidence = {11: ["validation/evidence.json", "validation/evidence.json.sig"], 12: []}
    servers = [http.server.ThreadingHTTPServer((address, 0), Api) for address in ("127.0.0.1", "127.0.0.2")]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    Api.storage = f"http://127.0.0.2:{servers[1].server_port}"
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "remote", "add", "origin", "https://x-access-token:s3cret@github.com/acme/images.git"], check=True)

    def run(**more: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "CIRCLE_TOKEN": "t0ken", "CIRCLE_API": f"http://127.0.0.1:{servers[0].server_port}",
            "VALIDATION_POLL": "0", "VALIDATION_IMAGE": "base", "VALIDATION_PROJECT": "gh/acme/validation", "VALIDATION_BRANCH": "main",
            "VALIDATION_DEFINITION": "", "VALIDATION_JOB": "", "CIRCLE_SHA1": "a" * 40,
        }  # fmt: skip
        script = ["/bin/bash", "-eo", "pipefail", str(ORB / "scripts/validate-elsewhere.sh")]
        return subprocess.run(script, env=environment | more, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)

    yield run
    for server in servers:
        server.shutdown()


PARAMETERS = {"image": "base", "repository": "https://github.com/acme/images.git", "commit": "a" * 40}


def test_another_project_s_pipeline_gives_the_evidence(elsewhere: Any, tmp_path: pathlib.Path) -> None:
    done = elsewhere()
    assert done.returncode == 0, done.stdout + done.stderr
    assert Api.posts == [("/project/gh/acme/validation/pipeline", {"branch": "main", "parameters": PARAMETERS})]
    assert sorted(path.name for path in (tmp_path / "build/evidence/base").iterdir()) == ["evidence.json", "evidence.json.sig"]
    assert Api.strangers == ["none", "none"], "the token is for CircleCI's hosts, not for where they send us on to"
    assert "validate: running" in done.stdout and "setup: success" in done.stdout


def test_a_github_app_project_is_started_by_its_definition(elsewhere: Any) -> None:
    done = elsewhere(VALIDATION_DEFINITION="d1")
    assert done.returncode == 0, done.stdout + done.stderr
    wish = {"definition_id": "d1", "config": {"branch": "main"}, "checkout": {"branch": "main"}, "parameters": PARAMETERS}
    assert Api.posts == [("/project/gh/acme/validation/pipeline/run", wish)]


def test_what_cannot_be_started_is_said_before_it_is_tried(elsewhere: Any) -> None:
    done = elsewhere(VALIDATION_PROJECT="circleci/1a/2b")
    assert (done.returncode, Api.posts) == (1, [])
    assert "set the parameter definition" in done.stderr and "GitLab" in done.stderr


def test_a_refused_start_is_shown_and_not_made_again(elsewhere: Any) -> None:
    Api.refuses = 404
    done = elsewhere(VALIDATION_DEFINITION="d1")
    assert done.returncode == 1 and len(Api.posts) == 1
    assert "Definition not found" in done.stderr
    Api.posts.clear()
    Api.refuses = 503
    assert elsewhere().returncode == 1 and len(Api.posts) == 1, "a second request could start a second pipeline"


def test_a_wrong_token_and_a_red_pipeline_are_failures(elsewhere: Any) -> None:
    done = elsewhere(CIRCLE_TOKEN="wrong")
    assert done.returncode == 1 and "You must log in first." in done.stderr
    Api.verdict = "failed"
    assert elsewhere().returncode == 1


def test_evidence_of_several_jobs_is_kept_apart(elsewhere: Any, tmp_path: pathlib.Path) -> None:
    Api.evidence = {job: ["validation/evidence.json", "validation/evidence.json.sig"] for job in (11, 12)}
    done = elsewhere()
    assert done.returncode == 1 and "parameter job" in done.stderr
    for job in (11, 12):
        content = (tmp_path / f"build/elsewhere/{job}-0/validation/evidence.json").read_text()
        assert content == f"content of /files/{job}/validation/evidence.json"
    assert not list((tmp_path / "build/evidence/base").iterdir()), "none of them is taken for the whole"


def test_the_job_that_has_the_evidence_can_be_named(elsewhere: Any, tmp_path: pathlib.Path) -> None:
    Api.evidence = {job: ["validation/evidence.json", "validation/evidence.json.sig"] for job in (11, 12)}
    done = elsewhere(VALIDATION_JOB="other")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "/12/" in (tmp_path / "build/evidence/base/evidence.json").read_text()


def test_evidence_without_a_signature_is_refused(elsewhere: Any) -> None:
    Api.evidence = {11: ["validation/evidence.json"], 12: []}
    done = elsewhere()
    assert done.returncode == 1 and "--sign-with" in done.stderr


@pytest.mark.parametrize("name", ["images", "two-projects"])
def test_the_examples_compile_with_the_orb(name: str) -> None:
    """Each job of an example is one of the orb's, with parameters that it has."""
    usage = yaml.safe_load((ORB / f"examples/{name}.yml").read_text())["usage"]
    text = yaml.safe_dump({key: value for key, value in usage.items() if key != "orbs"}, sort_keys=False).replace("assay/", "")
    names = {next(iter(job)) for flow in usage["workflows"].values() for job in flow["jobs"]}
    parts = {kind: yaml.safe_load(PACK["section"](kind, every=True))[kind] for kind in ("executors", "commands", "jobs")}
    parts["jobs"] = {job: body for job, body in parts["jobs"].items() if f"assay/{job}" in names}
    found = check.summary(text + yaml.safe_dump(parts, sort_keys=False))
    assert set(found) == set(usage["workflows"])
    if name == "two-projects":
        others = {"packer", "Packer", "Build what is due, and commit each"}
        assert not [job for flow in found.values() for job in flow.values() if others & set(job["steps"])], "nothing runs what a branch has written"
