"""Owns client tokens: one token is one thing however often it is asked for, and EC2's two errors about tokens.

Sources: "Ensuring idempotency in Amazon EC2 API requests", docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
(up to 64 ASCII characters; other parameters: IdempotentParameterMismatch); IdempotentInstanceTerminated in
docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from ..answers import Answer, error_answer
from ..faults import Call

LENGTH = 64
MISMATCH = "Arguments on this idempotent request are inconsistent with arguments used in previous request(s)."
# Their second answer is made anew, since it shows what has become of the thing; see ClientTokens.
MADE_ANEW = ("RunInstances", "CopyImage")


class ClientTokens:
    """What was made for which token; for calls that moto carries out. Called under the cloud's lock."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, ...], tuple[str, Any]] = {}

    def before(self, response: Any) -> Any:
        """What this request's token has made before; None for a new one. Raises IdempotentParameterMismatch."""
        from moto.ec2.exceptions import EC2ClientError

        token = response._get_param("ClientToken")
        if not token or self._key(response, token) not in self._made:
            return None
        asked, made = self._made[self._key(response, token)]
        if asked != self._asked(response):
            raise EC2ClientError("IdempotentParameterMismatch", MISMATCH)
        return made

    def note(self, response: Any, made: Any) -> None:
        """This request's token, if it has one, has made something."""
        if token := response._get_param("ClientToken"):
            self._made[self._key(response, token)] = (self._asked(response), made)

    @staticmethod
    def _key(response: Any, token: str) -> tuple[str, ...]:
        return (response.current_account, response.region, response.params.get("Action", ""), token)

    @staticmethod
    def _asked(response: Any) -> str:
        return json.dumps({k: v for k, v in response.params.items() if k != "ClientToken"}, sort_keys=True, default=str)


def refuse_terminated(instances: list[Any]) -> None:
    """A token whose instances have all been terminated launches nothing and shows nothing."""
    from moto.ec2.exceptions import EC2ClientError

    if instances and all(instance.state in ("shutting-down", "terminated") for instance in instances):
        names = ", ".join(instance.id for instance in instances)
        raise EC2ClientError(
            "IdempotentInstanceTerminated", f"The client token was used for instances that have been terminated: {names}"
        )


class RepeatedAnswers:
    """For all other calls with a client token: the same request gets the same answer again, another one with that token an error."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, ...], tuple[dict[str, str], Answer]] = {}
        self._lock = threading.Lock()

    def before(self, call: Call) -> Answer | None:
        """The answer that the token got before, or the error."""
        token = call.parameters.get("ClientToken", "")
        if call.service != "ec2" or not token:
            return None
        if len(token) > LENGTH or not token.isascii():
            text = f"Invalid client token: it must be at most {LENGTH} ASCII characters"
            return error_answer("ec2", 400, "InvalidParameterValue", text)
        with self._lock:
            parameters, answer = self._answers.get(self._key(call), (call.parameters, None))
        if parameters != call.parameters:
            return error_answer("ec2", 400, "IdempotentParameterMismatch", MISMATCH)
        return answer

    def after(self, call: Call, answer: Answer) -> Answer:
        """Keeps the answer of a call that was done."""
        if call.service == "ec2" and call.parameters.get("ClientToken") and call.action not in MADE_ANEW and answer.status == 200:
            with self._lock:
                self._answers.setdefault(self._key(call), (call.parameters, answer))
        return answer

    @staticmethod
    def _key(call: Call) -> tuple[str, ...]:
        return (call.account, call.region, call.action, call.parameters.get("ClientToken", ""))
