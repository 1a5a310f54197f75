"""A small stand-in for CircleCI: reads a 2.1 configuration as CircleCI's documentation describes it and runs its jobs on this machine.

In reading order: `expressions` (conditions), `document` (what may stand where), `values` (`<< >>`), `compile` (commands, executors, workflows → plain
jobs), `storage` (caches, workspaces, artifacts), `keys` and `transport` (which key may push), `oidc` (tokens), `program_server` (how the last two are started), `machine` (one job), `pipeline` (one pipeline:
workflows, order, contexts, serial groups), `follow` (pushes start pipelines). Refuses what it does not know: a key that CircleCI has and this runner has not is an error, never ignored. It starts no containers: images of
executors are read and not used.
"""


class ConfigError(Exception):
    """The configuration is wrong, or says something that this runner does not know. The text names the place."""
