"""Owns what is changed in moto's other services and in launch templates: digests signed as KMS signs them, EC2's quota, whole pages, dry runs.

Refuses nothing by itself.
"""

from __future__ import annotations

from typing import Any

VCPUS = 64.0  # what a new account may run of standard on-demand instances
STANDARD = "L-1216C47A"


def install() -> None:
    """Patches KMS, Service Quotas, launch templates and the calls that moto does not try dry."""
    install_kms()
    install_quotas()
    install_templates()
    install_dry_runs()


def install_kms() -> None:
    """Sign with MessageType DIGEST signs the digest; moto's own would hash it once more."""
    import base64
    import json

    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from moto.kms.exceptions import ValidationException
    from moto.kms.responses import KmsResponse

    moto_sign = KmsResponse.sign

    def sign(self: Any) -> Any:
        asked = json.loads(self.body)
        if asked.get("MessageType") != "DIGEST" or asked.get("SigningAlgorithm") != "ECDSA_SHA_256":
            return moto_sign(self)
        self._validate_key_id(asked["KeyId"])
        key, digest = self.kms_backend.describe_key(asked["KeyId"]), base64.b64decode(asked["Message"])
        if len(digest) != 32:
            raise ValidationException("Digest is invalid length for algorithm ECDSA_SHA_256.")
        if asked["SigningAlgorithm"] not in (key.signing_algorithms or []):
            raise ValidationException(f"{key.arn} key usage or specification is not valid for Sign.")
        signature = key.private_key.private_key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        return json.dumps({
            "KeyId": key.arn, "Signature": base64.b64encode(signature).decode(), "SigningAlgorithm": asked["SigningAlgorithm"],
        })  # fmt: skip

    KmsResponse.sign = sign


def install_quotas() -> None:
    """EC2's quota of standard vCPUs; moto knows quotas of VPC alone."""
    import json

    from moto.servicequotas.models import ServiceQuotasBackend
    from moto.servicequotas.responses import ServiceQuotasResponse

    moto_get = ServiceQuotasBackend.get_service_quota

    def get_service_quota(self: Any, service_code: str, quota_code: str) -> dict[str, Any]:
        if (service_code, quota_code) != ("ec2", STANDARD):
            return moto_get(self, service_code, quota_code)
        return {
            "ServiceCode": "ec2", "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)", "QuotaCode": STANDARD,
            "QuotaName": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", "Value": VCPUS, "Unit": "None",
            "Adjustable": True, "GlobalQuota": False,
        }  # fmt: skip

    def get_default(self: Any) -> str:
        asked = json.loads(self.body)
        return json.dumps({"Quota": self.backend.get_service_quota(asked["ServiceCode"], asked["QuotaCode"])})

    ServiceQuotasBackend.get_service_quota = get_service_quota
    ServiceQuotasResponse.get_aws_default_service_quota = get_default


def install_templates() -> None:
    """DescribeLaunchTemplates and DescribeLaunchTemplateVersions are whole; moto cuts them off after 15 without a word. See fidelity.pages."""
    from moto.core.responses import ActionResult
    from moto.ec2.responses.launch_templates import LaunchTemplates

    def whole(moto_call: Any, kind: str) -> Any:
        def call(self: Any) -> Any:
            self.params["MaxResults"] = 1_000_000
            return ActionResult({kind: moto_call(self).result[kind]})

        return call

    for name, kind in (("describe_launch_templates", "LaunchTemplates"), ("describe_launch_template_versions", "LaunchTemplateVersions")):
        setattr(LaunchTemplates, name, whole(getattr(LaunchTemplates, name), kind))


def install_dry_runs() -> None:
    """DryRun where moto, or what was patched before, overlooks it."""
    from moto.ec2.responses.general import General
    from moto.ec2.responses.instances import InstanceResponse

    def dry_first(call: Any) -> Any:
        def tried(self: Any) -> Any:
            self.error_on_dryrun()
            return call(self)

        return tried

    General.get_console_output = dry_first(General.get_console_output)
    InstanceResponse.run_instances = dry_first(InstanceResponse.run_instances)
