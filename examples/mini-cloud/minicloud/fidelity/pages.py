"""Owns listings in pages, where moto has none; tokens that mean nothing to the client; and accounts in which EC2 demands
pages.

Sources: "Pagination" in docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html (a page may hold fewer records
than asked for, even none, and still have a NextToken); MaxResults of DescribeInstances, DescribeImages, DescribeTags … in
botocore's data/ec2/2016-11-15/service-2.json (at least 5, not together with ids); the documentation there of every listing
("We strongly recommend using only paginated requests"). That large accounts are refused unpaginated calls, with
OperationNotPermitted: github.com/aws/amazon-vpc-resource-controller-k8s/issues/188.
"""

from __future__ import annotations

import base64
import functools
import json
import re
from xml.etree import ElementTree

from ..answers import Answer, error_answer
from ..faults import Call
from . import listing
from .circumstances import Circumstances

# Listings that huge accounts are refused without pages.
DEMANDED = (
    "DescribeImages", "DescribeInstances", "DescribeInstanceStatus", "DescribeNetworkInterfaces", "DescribeSecurityGroups", "DescribeSnapshots",
    "DescribeSubnets", "DescribeTags", "DescribeVolumes", "DescribeVpcs",
)  # fmt: skip
_IDS = re.compile(r"(Instance|Image|Group|Snapshot|Volume|Vpc|Subnet|NetworkInterface|SpotInstanceRequest)Ids?\.\d+")
MOST = 1000
UNASKED = {
    "DescribeLaunchTemplates": 200,
    "DescribeLaunchTemplateVersions": 200,
}  # listings that come in pages in any case, and of what size
ALL = "1000000"
WITHOUT_IDS = ("DescribeInstances", "DescribeInstanceStatus", "DescribeImages", "DescribeSnapshots", "DescribeVolumes")


@functools.cache
def least_results(action: str) -> int:
    """The smallest MaxResults of a listing, as botocore's model says it."""
    import botocore.session

    operation = botocore.session.get_session().get_service_model("ec2").operation_model(action)
    member = operation.input_shape.members.get("MaxResults") if operation.input_shape else None
    return int(member.metadata.get("min", 1)) if member is not None else 1


def token_of(action: str, start: int) -> str:
    """An opaque token that says where the next page of a listing begins."""
    return base64.urlsafe_b64encode(json.dumps([action, start]).encode()[::-1]).decode()


def start_of(action: str, token: str) -> int | None:
    """Where a token's page begins; None for a token that is not one of this listing."""
    try:
        made_for, start = json.loads(base64.urlsafe_b64decode(token)[::-1])
    except ValueError:
        return None
    return int(start) if made_for == action else None


class Pages:
    """Cuts listings into the pages that a request asks for."""

    def __init__(self, circumstances: Circumstances) -> None:
        self._circumstances = circumstances

    def before(self, call: Call) -> Answer | None:
        """The refusal of page sizes, tokens and listings that EC2 does not take."""
        if call.service != "ec2" or not call.action.startswith("Describe"):
            return None
        ids = any(_IDS.fullmatch(name) for name in call.parameters)
        size, token = call.parameters.get("MaxResults"), call.parameters.get("NextToken")
        if size is not None and ids and call.action in WITHOUT_IDS:
            text = "The parameter MaxResults cannot be used with a list of ids"
            return error_answer("ec2", 400, "InvalidParameterCombination", text)
        least = least_results(call.action)
        if size is not None and not (size.isdecimal() and int(size) >= least):
            text = f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value greater than or equal to {least}."
            return error_answer("ec2", 400, "InvalidParameterValue", text)
        if token is not None and start_of(call.action, token) is None:
            return error_answer("ec2", 400, "InvalidNextToken", "The token provided is not valid")
        if self._circumstances.pages_demanded and call.action in DEMANDED and size is None and not ids:
            text = f"You have exceeded the number of resources for unpaginated calls of {call.action}. Please use pagination."
            return error_answer("ec2", 400, "OperationNotPermitted", text)
        return None

    def moto_parameters(self, call: Call) -> dict[str, str] | None:
        """The parameters that moto gets instead, without pages; None where they are as sent."""
        if call.service != "ec2" or not call.action.startswith("Describe"):
            return None
        whole = {name: value for name, value in call.parameters.items() if name not in ("MaxResults", "NextToken")}
        if call.action == "DescribeInstances" and not any(_IDS.fullmatch(name) for name in whole):
            return {**whole, "MaxResults": ALL}  # moto's own pages are of 100 unless told otherwise
        return whole if whole != call.parameters or call.action in UNASKED else None

    def after(self, call: Call, answer: Answer) -> Answer:
        """The page of a whole listing that the request asks for."""
        asked, token = call.parameters.get("MaxResults") or UNASKED.get(call.action), call.parameters.get("NextToken")
        describes = call.service == "ec2" and call.action.startswith("Describe")
        if not describes or answer.status != 200 or not (asked or token):
            return answer
        size = min(int(asked or MOST), UNASKED.get(call.action, MOST))
        if self._circumstances.empty_first_page and not token:
            size = 0
        start = start_of(call.action, token) if token else 0
        return Answer(answer.status, cut(answer.body, call.action, start or 0, size), answer.headers)


def cut(body: bytes, action: str, start: int, size: int) -> bytes:
    """The records of a listing from `start` on, `size` of them, with the token of the next page if there is one."""
    root, tag = listing.parse(body)
    listed = next((child for child in root if child.find(tag("item")) is not None), None)
    for old in root.findall(tag("nextToken")):
        root.remove(old)
    if listed is None:
        return body
    records = listed.findall(tag("item"))
    for record in records[:start] + records[start + size :]:
        listed.remove(record)
    if start + size < len(records):
        ElementTree.SubElement(root, tag("nextToken")).text = token_of(action, start + size)
    return listing.text(root)
