"""Owns reading a configuration without running it: every workflow, whatever its condition, compiles. For `run check FILE` and for tests."""

from __future__ import annotations

from typing import Any

from . import document
from .compile import pipeline_scope, workflows

PUSH = {
    "pipeline.id": "0", "pipeline.number": 1, "pipeline.project.git_url": "", "pipeline.project.type": "github",
    "pipeline.project.slug": "github/acme/images", "pipeline.git.branch": "main", "pipeline.git.tag": "", "pipeline.git.branch.is_default": True,
    "pipeline.git.revision": "0" * 40, "pipeline.trigger.type": "github_oauth", "pipeline.event.name": "push", "pipeline.schedule.name": "",
}  # fmt: skip


def summary(text: str) -> dict[str, Any]:
    """Workflow → job → {contexts, requires, environment, steps}; each workflow as if its condition held."""
    config = document.load(text)
    scope = pipeline_scope(config, PUSH, {})
    workflows(config, scope)  # The conditions themselves must be readable too.
    for flow in config["workflows"].values():
        flow.pop("when", None)
        flow.pop("unless", None)
    return {
        flow.name: {
            job.name: {
                "job": job.definition, "contexts": job.contexts, "requires": sorted(job.requires), "serial_group": job.serial_group,
                "parallelism": job.parallelism, "environment": job.environment, "bodies": [step.body for step in job.steps], "steps": [step.name for step in job.steps],
            }
            for job in flow.jobs
        }
        for flow in workflows(config, scope)
    }  # fmt: skip
