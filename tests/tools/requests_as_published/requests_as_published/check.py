"""Owns checking the lines of a call log (calls.jsonl of the mini cloud: service, action, parameters, error).

Refuses to check what AWS itself would have answered with an error that the test meant: calls that the log says failed are
left out unless asked for.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
from collections.abc import Iterator

import botocore.session
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationNotFoundError, ServiceModel

from . import ec2_rules, model_rules
from .nesting import nested

# The names under which requests are signed, where botocore's folders are called otherwise.
FOLDERS = {"servicequotas": "service-quotas"}
# Errors that are about the state of the cloud and not about the request.
OF_THE_STATE = ("DryRunOperation", "RequestLimitExceeded", "IncorrectInstanceState", "IncorrectState", "DependencyViolation")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is not as published."""

    file: pathlib.Path
    line: int
    action: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.action}: {self.text}"


@functools.cache
def service_model(service: str) -> ServiceModel | None:
    """What AWS publishes of a service; None for one that is none of theirs."""
    try:
        return botocore.session.Session().get_service_model(FOLDERS.get(service, service))
    except UnknownServiceError:
        return None


def request_findings(service: str, action: str, parameters: dict[str, str]) -> list[str]:
    """What of one request is not as published."""
    model = service_model(service)
    if model is None:
        return [f"there is no service {service!r}"]
    try:
        operation = model.operation_model(action)
    except OperationNotFoundError:
        return [f"{service} has no such action"]
    given, unknown = nested(operation, parameters)
    found = [f"there is no parameter {name}" for name in unknown]
    if operation.input_shape is not None:
        found += model_rules.findings(operation.input_shape, given)
    if service == "ec2":
        found += ec2_rules.findings(operation, given, parameters)
    return found


def log_findings(file: pathlib.Path, failed_too: bool = False) -> Iterator[Finding]:
    """The findings of a call log, in its order."""
    for number, line in enumerate(file.read_text().splitlines(), 1):
        call = json.loads(line)
        meant = (
            call.get("error")
            and not call.get("fault")
            and call["error"] not in OF_THE_STATE
            and not call["error"].endswith(".NotFound")
        )
        if meant and not failed_too:
            continue
        for text in request_findings(call.get("service") or "", call["action"], call["parameters"]):
            yield Finding(file, number, call["action"], text)
