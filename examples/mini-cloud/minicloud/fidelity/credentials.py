"""Owns that credentials of AssumeRole end: at the time that was asked for, earlier where circumstances say so, or at once by
a control request.

Sources: DurationSeconds of AssumeRole and ExpiredTokenException in the STS API reference; RequestExpired in the list of EC2's
error codes, docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html.
"""

from __future__ import annotations

import datetime
import re
import threading
import time

from ..answers import JSON_SERVICES, Answer, error_answer
from ..faults import Call
from .circumstances import Circumstances

USUAL_SECONDS = 3600.0
_ACTIONS = ("AssumeRole", "AssumeRoleWithWebIdentity", "AssumeRoleWithSAML", "GetSessionToken")
_KEY, _END = re.compile(rb"<AccessKeyId>([^<]+)</AccessKeyId>"), re.compile(rb"<Expiration>[^<]+</Expiration>")


class SessionEnds:
    """Notes when each session ends, and refuses its key from then on."""

    def __init__(self, circumstances: Circumstances) -> None:
        self._circumstances = circumstances
        self._ends: dict[str, float] = {}
        self._gone: set[str] = set()
        self._lock = threading.Lock()

    def before(self, call: Call) -> Answer | None:
        """What each service says to a key that has ended."""
        with self._lock:
            ended = call.access_key in self._ends and time.time() >= self._ends[call.access_key]
            gone = call.access_key in self._gone
        if ended and call.service == "ec2":
            return error_answer("ec2", 400, "RequestExpired", "Request has expired.")
        if ended:
            status, code = (400, "ExpiredTokenException") if call.service in JSON_SERVICES else (403, "ExpiredToken")
            return error_answer(call.service, status, code, "The security token included in the request is expired")
        if gone and call.service == "ec2":
            return error_answer("ec2", 401, "AuthFailure", "AWS was not able to validate the provided access credentials")
        if gone:
            return error_answer(call.service, 403, "InvalidClientTokenId", "The security token included in the request is invalid.")
        return None

    def after(self, call: Call, answer: Answer) -> Answer:
        """Notes a new session's end, and says it in the answer."""
        if call.service != "sts" or call.action not in _ACTIONS or answer.status != 200:
            return answer
        key = _KEY.search(answer.body)
        if key is None:
            return answer
        seconds = self._circumstances.session_seconds or float(call.parameters.get("DurationSeconds") or USUAL_SECONDS)
        end = time.time() + seconds
        with self._lock:
            self._ends[key[1].decode()] = end
        text = datetime.datetime.fromtimestamp(end, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Answer(answer.status, _END.sub(b"<Expiration>" + text.encode() + b"</Expiration>", answer.body), answer.headers)

    def end(self, access_key: str | None) -> list[str]:
        """Ends one key, or every session that there is; returns the keys. A long-lived key is gone, not expired."""
        with self._lock:
            if access_key is None:
                ended = list(self._ends)
            elif access_key in self._ends:
                ended = [access_key]
            else:
                self._gone.add(access_key)
                return [access_key]
            for key in ended:
                self._ends[key] = 0.0
            return ended

    def forget(self) -> None:
        """Long-lived keys work again."""
        with self._lock:
            self._gone.clear()
