"""Owns the webhook: what a pipeline pushed starts pipelines of its own, until nothing is pushed any more.

That is how CircleCI and a git host go on from a commit that a job made, and so it shows whether a configuration comes to rest. Refuses to go on for ever.
"""

from __future__ import annotations

from typing import Any

from . import ConfigError, pipeline
from .pipeline import Project, Trigger


def heads(project: Project) -> dict[str, str]:
    """Branches and tags of the remote, with the commit that each names."""
    lines = project.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags").splitlines()
    return dict(line.split(" ", 1) for line in lines)


def run(project: Project, first: Trigger, limit: int) -> list[dict[str, Any]]:
    """The records of a pipeline and of those that its pushes started, in order; an error after `limit` pipelines."""
    records: list[dict[str, Any]] = []
    waiting = [first]
    while waiting:
        if len(records) == limit:
            raise ConfigError(f"{limit} pipelines and no rest: {[(r['ref'], r['revision'][:8]) for r in records]}")
        before = heads(project)
        records.append(pipeline.run(project, waiting.pop(0)))
        after = heads(project)
        moved = [ref for ref, commit in after.items() if before.get(ref) != commit]
        waiting += [Trigger(ref) for ref in moved if ref not in {trigger.ref for trigger in waiting}]
    return records
