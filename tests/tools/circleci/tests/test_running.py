"""The runner: what jobs see, do and leave, in small made-up configurations."""

from __future__ import annotations

import pathlib

import pytest
from circleci_runner import ConfigError, keys, oidc, pipeline
from circleci_runner.pipeline import Trigger
from small import Small, job, output, shape


@pytest.fixture
def small(tmp_path: pathlib.Path) -> Small:
    return Small(tmp_path, {
        "plain": {"environment": {"SECRET": "s3"}},
        "main-only": {"environment": {"SECRET": "gold"}, "restriction": 'pipeline.git.branch == "main" and not job.ssh.enabled'},
        "closed": {"restriction": 'pipeline.nothing == "x"'},
    })  # fmt: skip


def test_a_job_sees_what_circleci_sets_and_nothing_of_ours(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "leaked")
    wanted = "CI CIRCLECI CIRCLE_BRANCH CIRCLE_SHA1 CIRCLE_JOB CIRCLE_BUILD_URL CIRCLE_WORKFLOW_ID CIRCLE_PIPELINE_ID CIRCLE_PROJECT_REPONAME CIRCLE_OIDC_TOKEN_V2"
    record = small.run(job(f'run: for name in {wanted}; do [ -n "${{!name}}" ] || exit 1; done', 'run: echo "ours=${OURS:-}" tag=${CIRCLE_TAG:-}'))
    assert shape(record) == {"w": {"j": "success"}}
    assert "ours= tag=" in output(record, "j")


def test_after_a_failure_only_what_asks_for_it_runs(small: Small) -> None:
    record = small.run(job(
        "run: exit 3", "run: echo never", "run: {name: c, command: echo cleaned, when: on_fail}", "run: {name: a, command: echo always, when: always}",
        "store_artifacts: {path: .}",
    ))  # fmt: skip
    steps = record["workflows"][0]["jobs"][0]["containers"][0]["steps"]
    assert [step["status"] for step in steps] == ["failed", "skipped", "success", "success", "success"]
    assert steps[0]["exit"] == 3 and record["status"] == "failed"
    assert "never" not in output(record, "j")


def test_shells_stop_at_errors_also_inside_pipes(small: Small) -> None:
    assert small.run(job("run: false | cat"))["status"] == "failed"
    assert small.run(job('run: "false\\ntrue"'))["status"] == "failed"


def test_a_halted_job_is_green_and_does_no_more(small: Small) -> None:
    record = small.run(job("run: circleci-agent step halt", "run: exit 1", "run: {name: a, command: exit 1, when: always}"))
    assert record["status"] == "success"


def test_variables_of_one_step_reach_the_next_through_bash_env_only(small: Small) -> None:
    record = small.run(job('run: A=1; echo "export B=2" >> "$BASH_ENV"', 'run: echo "a=${A:-} b=${B:-}"'))
    assert "a= b=2" in output(record, "j")


def test_background_steps_run_beside_the_others_and_end_with_the_job(small: Small) -> None:
    record = small.run(job(
        "run: {name: bg, background: true, command: 'echo $$ > pid; sleep 600'}",
        "run: for i in $(seq 100); do [ -s pid ] && break; sleep 0.1; done; cat pid",
    ))  # fmt: skip
    pid = int(output(record, "j"))
    assert not pathlib.Path(f"/proc/{pid}").exists()


def test_silence_ends_a_step(small: Small) -> None:
    record = small.run(job("run: {command: sleep 60, no_output_timeout: 1s}"))
    assert record["workflows"][0]["jobs"][0]["containers"][0]["steps"][0]["error"] == "no output for too long"


def test_parallel_containers_know_their_number_and_one_failure_is_the_jobs(small: Small) -> None:
    record = small.run(job("run: echo $CIRCLE_NODE_INDEX/$CIRCLE_NODE_TOTAL", "run: '[ $CIRCLE_NODE_INDEX = 0 ]'", head="    parallelism: 2\n"))
    assert [output(record, "j", index) for index in (0, 1)] == ["0/2\n", "1/2\n"]
    assert record["status"] == "failed"


FLOW = """
version: 2.1
executors:
  e: {docker: [{image: none}], environment: {FROM: executor}}
commands:
  say:
    parameters: {what: {type: integer}}
    steps: [run: echo << parameters.what >> << pipeline.git.branch >> $FROM]
jobs:
  make:
    executor: e
    parameters: {n: {type: integer, default: 1}}
    environment: {FROM: job}
    steps:
      - say: {what: << parameters.n >>}
      - run: mkdir -p out && echo $CIRCLE_JOB > out/$CIRCLE_JOB
      - persist_to_workspace: {root: ., paths: [out]}
  take:
    executor: e
    steps:
      - attach_workspace: {at: .}
      - run: ls out
workflows:
  w:
    jobs:
      - make: {name: "make-<< matrix.n >>", matrix: {parameters: {n: [1, 2]}}}
      - make: {name: apart, n: 3}
      - take: {requires: [make-1, make-2]}
"""


def test_commands_executors_parameters_and_a_matrix_become_jobs(small: Small) -> None:
    record = small.run(FLOW)
    assert shape(record) == {"w": dict.fromkeys(["make-1", "make-2", "apart", "take"], "success")}
    assert output(record, "make-2") == "2 main job\n"


def test_a_workspace_holds_what_came_from_upstream_only(small: Small) -> None:
    assert output(small.run(FLOW), "take") == "make-1\nmake-2\n"


def test_a_job_after_a_failed_one_does_not_run_unless_it_asks_for_the_failure(small: Small) -> None:
    config = """
version: 2.1
jobs:
  bad: {docker: [{image: none}], steps: [run: "false"]}
  next: {docker: [{image: none}], steps: [run: "true"]}
workflows:
  w:
    jobs:
      - bad
      - next: {name: after, requires: [bad]}
      - next: {name: tell, requires: [bad: failed]}
      - next: {name: whatever, requires: [bad: terminal]}
"""
    assert shape(small.run(config)) == {"w": {"bad": "failed", "after": "not_run", "tell": "success", "whatever": "success"}}


# Each waits until the other one is there, too.
MEET = 'touch "$MEETING/$1"; for i in $(seq 600); do [ -e "$MEETING/$2" ] && exit; sleep 0.05; done; exit 1'


def test_jobs_that_wait_for_nothing_run_side_by_side_and_those_that_require_them_after_all_of_them(small: Small, tmp_path: pathlib.Path) -> None:
    """As CircleCI does: what two jobs do at one time, like two pushes to one branch, must be seen here first. The records are in the file's order."""
    (tmp_path / "meeting").mkdir()
    small.project.machine["MEETING"] = str(tmp_path / "meeting")
    config = f"""
version: 2.1
jobs:
  meet:
    parameters: {{me: {{type: string}}, other: {{type: string}}}}
    docker: [{{image: none}}]
    environment: {{ME: << parameters.me >>, OTHER: << parameters.other >>}}
    steps: [run: 'set -- "$ME" "$OTHER"; {MEET}']
  after: {{docker: [{{image: none}}], steps: [run: '[ -e "$MEETING/a" ] && [ -e "$MEETING/b" ] && touch "$MEETING/c"']}}
workflows:
  w:
    jobs:
      - after: {{requires: [first, second]}}
      - meet: {{name: first, me: a, other: b}}
      - meet: {{name: second, me: b, other: a}}
      - meet: {{name: beside-the-last, me: d, other: c}}
"""
    record = small.run(config)
    assert list(shape(record)["w"].items()) == [(name, "success") for name in ("first", "second", "after", "beside-the-last")]


def test_containers_of_a_job_run_side_by_side(small: Small, tmp_path: pathlib.Path) -> None:
    (tmp_path / "meeting").mkdir()
    small.project.machine["MEETING"] = str(tmp_path / "meeting")
    script = f"run: 'set -- $CIRCLE_NODE_INDEX $((1 - CIRCLE_NODE_INDEX)); {MEET}'"
    assert small.run(job(script, head="    parallelism: 2\n"))["status"] == "success"


def test_filters_take_jobs_out_and_those_that_required_nothing_else(small: Small) -> None:
    config = """
version: 2.1
jobs:
  a: {docker: [{image: none}], steps: [run: "true"]}
workflows:
  w:
    jobs:
      - a: {name: everywhere}
      - a: {name: main, filters: pipeline.git.branch == "main"}
      - a: {name: after-main, requires: [main]}
      - a: {name: after-both, requires: [main, everywhere]}
"""
    assert list(shape(small.run(config))["w"]) == ["everywhere", "main", "after-main", "after-both"]
    assert list(shape(small.run(config, "refs/heads/topic"))["w"]) == ["everywhere", "after-both"]
    assert shape(small.run(config, "refs/tags/v1")) == {}


CONTEXT = """
version: 2.1
jobs:
  j: {docker: [{image: none}], steps: [run: 'echo "secret=${SECRET:-} token=${CIRCLE_OIDC_TOKEN_V2:+yes}"']}
workflows:
  w: {jobs: [j: {context: %s}]}
"""


def test_contexts_give_variables_where_their_restriction_holds(small: Small) -> None:
    assert "secret=gold token=yes" in output(small.run(CONTEXT % "main-only"), "j")
    assert shape(small.run(CONTEXT % "main-only", "refs/heads/topic")) == {"w": {"j": "unauthorized"}}
    assert shape(small.run(CONTEXT % "closed")) == {"w": {"j": "unauthorized"}}
    assert shape(small.run(CONTEXT % "unknown")) == {"w": {"j": "unauthorized"}}


def test_the_checkout_reads_and_a_write_key_pushes_only_where_add_ssh_keys_puts_it(small: Small, tmp_path: pathlib.Path) -> None:
    key = keys.make(tmp_path / "keys/write", write=True)
    small.project.keys = [key]
    by = f"GIT_SSH_COMMAND='ssh -F none -o IdentitiesOnly=yes -o IdentityAgent=none -i ~/.ssh/id_rsa_{key.md5}'"
    push = "git push -q origin HEAD:refs/heads/new"
    add = f"add_ssh_keys: {{fingerprints: ['{key.fingerprint}']}}"
    record = small.run(job("checkout", f"run: {push}"))
    assert record["status"] == "failed" and "marked as read only" in output(record, "j")
    assert small.run(job("checkout", f"run: {by} {push}"))["status"] == "failed", "no step has put it there"
    record = small.run(job("checkout", add, f"run: {push}"))
    assert record["status"] == "failed" and "marked as read only" in output(record, "j"), "the agent offers the project's own key first"
    assert small.run(job("checkout", add, f"run: {by} {push}"))["status"] == "success"
    assert small.run(job("checkout", "add_ssh_keys: {fingerprints: ['SHA256:none']}"))["status"] == "failed"


def test_a_github_app_project_is_checked_out_by_https_and_may_only_read(small: Small) -> None:
    small.project.kind = "app"
    record = small.run(job("checkout", "run: git config remote.origin.url; git fetch -q origin; git push -q origin HEAD:refs/heads/new"))
    assert record["status"] == "failed" and output(record, "j").startswith("https://github.com/acme/images.git\n")


def test_a_partial_clone_is_one_and_a_full_one_is_not(small: Small) -> None:
    ask = "run: git config --default none --get remote.origin.partialclonefilter"
    assert output(small.run(job("checkout", ask)), "j") == "blob:none\n"
    assert output(small.run(job("checkout: {method: full}", ask)), "j") == "none\n"


def test_a_job_whose_time_is_over_stores_nothing_and_runs_nothing_more(small: Small) -> None:
    small.project.time_limit = 3
    record = small.run(job("run: echo x > r.txt; sleep 60", "run: {name: a, command: echo always, when: always}", "store_artifacts: {path: r.txt}"))
    steps = record["workflows"][0]["jobs"][0]["containers"][0]["steps"]
    assert [step["status"] for step in steps] == ["killed", "skipped", "skipped"]
    assert (record["status"], shape(record)) == ("failed", {"w": {"j": "killed"}})


def test_a_step_is_run_again_as_often_as_it_asks(small: Small) -> None:
    again = "run: {command: 'echo x >> n; [ $(wc -l < n) = 3 ]', max_auto_reruns: %d, auto_rerun_delay: 1m}"
    assert small.run(job(again % 2))["status"] == "success"
    assert small.run(job(again % 1))["status"] == "failed"


def test_a_token_has_the_documented_claims_and_a_new_one_another_audience_only(small: Small) -> None:
    record = small.run(job("run: echo $CIRCLE_OIDC_TOKEN_V2", "run: \"circleci run oidc get --claims '{\\\"aud\\\": \\\"other\\\"}'\""))
    first, second = [oidc.read(line) for line in output(record, "j").split()]
    assert first["sub"].endswith("/vcs-origin/github.com/acme/images/vcs-ref/refs/heads/main")
    assert (first["exp"] - first["iat"], first["oidc.circleci.com/ssh-rerun"]) == (3600, False)
    assert (second["sub"], second["aud"], first["aud"] == "other") == (first["sub"], "other", False)
    for claims in ('{"sub": "x"}', "{aud: x}"):
        assert small.run(job(f"run: {{command: circleci run oidc get --claims \"$C\", environment: {{C: '{claims}'}}}}"))["status"] == "failed"


def test_the_configuration_may_come_from_another_branch_and_a_restriction_can_name_it(small: Small) -> None:
    small.project.kind = "app"
    small.project.contexts = {"c": {"restriction": 'pipeline.git.branch == "main" and pipeline.config.ref == "refs/heads/main"'}}
    config = CONTEXT % "c"
    of = lambda ref: shape(pipeline.run(small.project, Trigger("refs/heads/main", "api", config_ref=ref), config))["w"]["j"]  # noqa: E731
    assert (of("refs/heads/main"), of("refs/heads/topic")) == ("success", "unauthorized")
    small.project.kind = "oauth"
    assert of("refs/heads/main") == "unauthorized", "there is no such value there: it fails closed"
    small.project.kind = "app"
    for name, wanted in (("acme/images", "success"), ("acme/others", "unauthorized")):
        small.project.contexts["c"]["restriction"] = f'pipeline.config.repository.name == "{name}"'
        assert of("refs/heads/main") == wanted


def test_an_older_pipeline_s_job_is_skipped_for_a_newer_one_s_of_its_serial_group(tmp_path: pathlib.Path) -> None:
    groups, order = pipeline.SerialGroups(), []
    with groups.turn("g", 7, tmp_path / "waits") as runs:
        order.append(runs)
        with groups.turn("g", 5, tmp_path / "waits") as older, groups.turn("other", 5, tmp_path / "waits") as elsewhere:
            order += [older, elsewhere]
    with groups.turn("g", 5, tmp_path / "waits") as runs:
        order.append(runs)
    assert order == [True, False, True, True]


def test_a_fork_gets_no_secret_no_token_and_no_key_that_pushes(small: Small) -> None:
    record = small.run(CONTEXT % "plain", "refs/pull/3/head")
    assert "secret= token=" in output(record, "j")
    record = small.run(job("checkout", "run: git push origin HEAD:refs/heads/evil && exit 1 || true", "run: echo $CIRCLE_BRANCH $CIRCLE_PR_NUMBER"), "refs/pull/3/head")
    assert record["status"] == "success" and output(record, "j").endswith("pull/3 3\n")


def test_caches_are_kept_by_key_and_forks_have_their_own(small: Small) -> None:
    key = 'v1-{{ checksum "file" }}'
    config = job("checkout", f"restore_cache: {{key: '{key}'}}", "run: ls ~/kept 2>/dev/null || (mkdir ~/kept && touch ~/kept/made)", f"save_cache: {{key: '{key}', paths: [~/kept]}}")
    assert [output(small.run(config), "j") for _ in range(2)] == ["", "made\n"]
    assert output(small.run(config, "refs/pull/3/head"), "j") == ""


def test_results_and_artifacts_are_collected(small: Small) -> None:
    record = small.run(job(
        "run: mkdir r && echo '<testsuite><testcase/><testcase><failure/></testcase></testsuite>' > r/junit.xml",
        "store_test_results: {path: r}", "store_artifacts: {path: r, destination: reports}",
    ))  # fmt: skip
    container = record["workflows"][0]["jobs"][0]["containers"][0]
    assert container["steps"][1]["results"] == {"files": 1, "tests": 2, "failures": 1}
    assert (pathlib.Path(container["folder"]) / "artifacts/reports/junit.xml").exists()
    assert small.run(job("store_test_results: {path: .hidden}"))["status"] == "failed"


def test_a_push_of_a_job_starts_a_pipeline_until_there_is_rest(small: Small) -> None:
    push = f"run: git commit -q --allow-empty -m x && git push -q {small.project.remote} HEAD:main"
    once = job("checkout", f"{push[:5]} '[ $(git rev-list --count HEAD) -ge 4 ] || ({push[5:]})'")
    assert len(small.follow(once, 9)) == 3


def test_who_never_rests_is_an_error(small: Small) -> None:
    with pytest.raises(ConfigError, match="no rest"):
        small.follow(job("checkout", f"run: git commit -q --allow-empty -m x && git push -q {small.project.remote} HEAD:main"), 3)
