"""Owns the webhook: what a pipeline pushed starts pipelines of its own, until nothing is pushed any more.

That is how CircleCI and a git host go on from a commit that a job made, and so it shows whether a configuration comes to rest. Refuses to go on for ever.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from . import ConfigError, pipeline
from .pipeline import Project, Trigger


def heads(project: Project) -> dict[str, str]:
    """Branches and tags of the remote, with the commit that each names."""
    lines = project.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags").splitlines()
    return dict(line.split(" ", 1) for line in lines)


def run(project: Project, first: Trigger, limit: int, stop_at_red: bool = False) -> list[dict[str, Any]]:
    """The records of a pipeline and of those that its pushes started, in order; an error after `limit` pipelines. `stop_at_red`: a red one is the last."""
    records: list[dict[str, Any]] = []
    waiting = [first]
    while waiting:
        if len(records) == limit:
            raise ConfigError(f"{limit} pipelines and no rest: {[(r['ref'], r['revision'][:8]) for r in records]}")
        before = heads(project)
        records.append(pipeline.run(project, waiting.pop(0)))
        if stop_at_red and records[-1]["status"] != "success":
            break
        after = heads(project)
        moved = [ref for ref, commit in after.items() if before.get(ref) != commit]
        waiting += [Trigger(ref) for ref in moved if ref not in {trigger.ref for trigger in waiting}]
    return records


def run_at_once(project: Project, first: Trigger, limit: int) -> list[dict[str, Any]]:
    """The same with every pipeline started at the moment of the push, beside those that run; the records by number of pipeline."""
    records: dict[int, dict[str, Any]] = {}
    broken: list[BaseException] = []
    threads: list[threading.Thread] = []

    def begin(trigger: Trigger) -> None:
        if len(threads) == limit:
            raise ConfigError(f"{limit} pipelines and no rest")
        started = pipeline.start(project, trigger)

        def whole() -> None:
            try:
                records[started.number] = started.run()
            except BaseException as error:  # noqa: BLE001: raised below, where somebody waits
                broken.append(error)

        threads.append(threading.Thread(target=whole, daemon=True))
        threads[-1].start()

    before = heads(project)
    begin(first)
    while not broken:
        running = any(thread.is_alive() for thread in threads)
        after = heads(project)
        for ref, commit in after.items():
            if before.get(ref) != commit:
                begin(Trigger(ref))
        if not running and after == before:
            break
        before = after
        time.sleep(0.05)
    if broken:
        raise broken[0]
    return [records[number] for number in sorted(records)]
