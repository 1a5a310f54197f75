"""Owns what every request passes on its way to moto: whose key it is, the faults, the one lock, the log.

Refuses requests without a known key, as EC2 does (AuthFailure), and turns what moto cannot do into an error that SDKs do not
retry. Requests under /_minicloud/ go to control instead.
"""

from __future__ import annotations

import contextlib
import io
import json
import socket
import time
import traceback
import urllib.parse
from collections.abc import Callable
from typing import Any

from werkzeug.test import run_wsgi_app

from . import accounts, control, named
from .answers import Answer, error_answer
from .calllog import CallLog, without_secrets
from .cloud import Cloud
from .faults import Call, Fault, FaultList
from .fidelity.refusals import refusal
from .fidelity.whole import AsEc2

MADE_TO_FAIL = "made to fail by the mini cloud"

class Gateway:
    """The WSGI application that the server serves."""

    def __init__(self, cloud: Cloud, log: CallLog, moto: Callable) -> None:
        self.cloud, self.log, self.moto = cloud, log, moto
        self.fidelity, self.faults = AsEc2(cloud), FaultList()

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> list[bytes]:
        body = read_body(environ)
        if environ["PATH_INFO"].startswith(control.PREFIX):
            status, text = control.answer(self, environ["REQUEST_METHOD"], environ["PATH_INFO"], body)
            return send(start_response, Answer(status, text.encode(), [("Content-Type", "application/json")]))
        answer, dropped = self._api(environ, body)
        if dropped:
            return drop(environ, start_response)
        return send(start_response, answer)

    def _api(self, environ: dict[str, Any], body: bytes) -> tuple[Answer, bool]:
        """Does one API call, writes its line, and says whether its answer is to be lost."""
        n, began = self.log.number(), time.monotonic()
        who = accounts.caller(environ.get("HTTP_AUTHORIZATION"))
        parameters = read_parameters(environ, body)
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        action = parameters.get("Action") or target.rpartition(".")[2] or environ["REQUEST_METHOD"] + " " + environ["PATH_INFO"]
        account = accounts.account_of(who.access_key)
        if action == "AssumeRoleWithWebIdentity" and who.access_key is None:
            # The one call that is signed by nobody: the token is the proof.
            account, who = accounts.account_of_role(self.cloud.accounts, parameters), accounts.Caller(None, "us-east-1", "sts")
        role = accounts.role_of(who.access_key)
        call = Call(who.service or "", action, who.region or "", account or "", parameters, who.access_key, role)
        resources = named.resources(self.cloud, call)
        fault = None
        if account is None:
            answer = unknown_key(call.service)
        else:
            fault = self.faults.hit(call)
            answer = self._do(call, environ, fault)
        self.log.write(
            n, account=account, role=role, region=who.region, service=who.service, action=action,
            parameters=without_secrets(parameters), resources=resources, status=answer.status, error=answer.error,
            fault=fault.kind if fault else None, duration_ms=round((time.monotonic() - began) * 1000, 1),
        )  # fmt: skip
        return answer, bool(fault and fault.kind == "drop-answer")

    def _do(self, call: Call, environ: dict[str, Any], fault: Fault | None) -> Answer:
        if fault and fault.kind == "error":
            if call.service == "ec2" and fault.code == "UnauthorizedOperation" and not fault.message:
                return refusal(call)
            return error_answer(call.service, fault.status, fault.code, fault.message or MADE_TO_FAIL)
        if fault and fault.seconds:
            time.sleep(fault.seconds)
        return self.fidelity.around(call, lambda other: self._moto(call, environ if other is None else with_parameters(environ, other)))

    def _moto(self, call: Call, environ: dict[str, Any]) -> Answer:
        try:
            with self.cloud.lock:
                chunks, status, headers = run_wsgi_app(self.moto, environ, buffered=True)
            return Answer(int(status.split()[0]), b"".join(chunks), list(headers))
        except NotImplementedError as missing:
            return error_answer(call.service, 400, "UnsupportedOperation", f"the mini cloud cannot do this: {missing}")
        except Exception as error:
            traceback.print_exc()
            return error_answer(call.service, 500, "InternalError", f"the mini cloud failed: {error!r}")


def unknown_key(service: str) -> Answer:
    """What EC2 and STS say to a key that nobody gave out."""
    if service == "ec2":
        text = "AWS was not able to validate the provided access credentials"
        return error_answer(service, 401, "AuthFailure", text)
    return error_answer(service, 403, "InvalidClientTokenId", "The security token included in the request is invalid.")


def read_body(environ: dict[str, Any]) -> bytes:
    """The request's body, left in place for whoever reads next."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def read_parameters(environ: dict[str, Any], body: bytes) -> dict[str, str]:
    """The flat parameters of a request: of the query protocol from its body or its URL, of the JSON protocol with dotted names."""
    text = environ.get("QUERY_STRING", "")
    if "json" in environ.get("CONTENT_TYPE", ""):
        return flat(json.loads(body or b"{}"))
    if "form-urlencoded" in environ.get("CONTENT_TYPE", ""):
        text = body.decode("utf-8", "replace") or text
    return dict(urllib.parse.parse_qsl(text, keep_blank_values=True))


def with_parameters(environ: dict[str, Any], parameters: dict[str, str]) -> dict[str, Any]:
    """The same request of the query protocol with other parameters."""
    body = urllib.parse.urlencode(parameters).encode()
    changed = {"CONTENT_LENGTH": str(len(body)), "QUERY_STRING": "", "CONTENT_TYPE": "application/x-www-form-urlencoded; charset=utf-8"}
    return {**environ, **changed, "REQUEST_METHOD": "POST", "wsgi.input": io.BytesIO(body)}


def flat(value: Any, name: str = "") -> dict[str, str]:
    """A JSON value as parameters: members by name, elements by number from 1."""
    if isinstance(value, dict | list):
        members = value.items() if isinstance(value, dict) else enumerate(value, 1)
        return {key: text for part, inner in members for key, text in flat(inner, f"{name}.{part}" if name else str(part)).items()}
    return {name: value if isinstance(value, str) else json.dumps(value)}


def send(start_response: Callable, answer: Answer) -> list[bytes]:
    """Hands an answer to the server."""
    headers = [(k, v) for k, v in answer.headers if k.lower() != "content-length"]
    start_response(f"{answer.status} -", [*headers, ("Content-Length", str(len(answer.body)))])
    return [answer.body]


def drop(environ: dict[str, Any], start_response: Callable) -> list[bytes]:
    """Cuts the connection without an answer, after the call was done: the client cannot know that it was."""
    with contextlib.suppress(OSError):
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    start_response("500 -", [("Content-Length", "0")])
    return [b""]
