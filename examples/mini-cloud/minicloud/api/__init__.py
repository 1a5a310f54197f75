"""Owns what is changed in moto so that its instances are machines and its answers are EC2's.

Patched from the outside, so that moto stays a pinned, unmodified package: environment first (it is read on import), then the
classes, then the accounts and base images. Refuses to run twice in one process.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from .. import accounts
from ..cloud import BASE_IMAGES, DEBIAN_OWNER, REGIONS, Cloud

SETTINGS = {
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
    "MOTO_ENABLE_AMI_VALIDATION": "true",
    "MOTO_ENABLE_KEYPAIR_VALIDATION": "true",
    "MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION": "true",
}


def install(cloud: Cloud) -> Callable:
    """Patches moto for this cloud, fills in accounts and base images, and returns moto's WSGI application."""
    os.environ.update(SETTINGS)
    from . import estate, fleets, images, instances, services, tags

    tags.install(cloud)
    instances.install(cloud)
    images.install(cloud)
    estate.install(cloud)
    fleets.install()
    services.install()
    accounts.register(cloud.accounts)
    register_base_images(cloud)
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    return DomainDispatcherApplication(create_backend_app)


def register_base_images(cloud: Cloud) -> None:
    """Makes the base images known to every account in every region, as their publisher's."""
    from moto.core.utils import utcnow
    from moto.ec2.models import ec2_backends
    from moto.ec2.models.amis import Ami

    for account in cloud.accounts:
        for region in REGIONS:
            backend = ec2_backends[account.id][region]
            for base in BASE_IMAGES:
                ami_id = base.id_in(region)
                backend.amis[ami_id] = Ami(
                    backend, ami_id, name=base.name, description="Debian 12 (minimal, for the mini cloud)",
                    owner_id=DEBIAN_OWNER, public=True, virtualization_type="hvm", architecture="x86_64",
                    hypervisor="xen", root_device_type="ebs", root_device_name="/dev/xvda", boot_mode="uefi",
                    image_location=f"{DEBIAN_OWNER}/{base.name}", creation_date=utcnow(), region_name=region + "a",
                )  # fmt: skip
