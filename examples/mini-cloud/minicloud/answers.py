"""Owns what is answered: an HTTP answer, and errors in the words of each service's protocol.

Refuses to know who asks.
"""

from __future__ import annotations

import dataclasses
import json
import re
import uuid
from xml.sax.saxutils import escape

_ERROR_CODE = re.compile(rb'<Code>([^<]*)</Code>|"__type": ?"(?:[^"#]*#)?([^"]*)"')
JSON_SERVICES = ("ssm", "kms", "servicequotas")


@dataclasses.dataclass
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: list[tuple[str, str]]

    @property
    def error(self) -> str | None:
        """The error code in it, if it is an error."""
        found = _ERROR_CODE.search(self.body) if self.status >= 400 else None
        return (found[1] or found[2]).decode() if found else (str(self.status) if self.status >= 400 else None)


def error_answer(service: str, status: int, code: str, message: str) -> Answer:
    """An error in the words of the service's protocol: EC2 has its own form, the other query services share one, the rest speak JSON."""
    if service in JSON_SERVICES:
        body = json.dumps({"__type": code, "message": message}).encode()
        return Answer(status, body, [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-RequestId", str(uuid.uuid4()))])
    error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    request = uuid.uuid4()
    if service == "ec2":
        text = f"<Response><Errors><Error>{error}</Error></Errors><RequestID>{request}</RequestID></Response>"
    else:
        text = f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error><RequestId>{request}</RequestId></ErrorResponse>"
    headers = [("Content-Type", "text/xml;charset=UTF-8"), ("x-amzn-RequestId", str(request))]
    return Answer(status, b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode(), headers)
