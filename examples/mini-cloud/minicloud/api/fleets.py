"""Owns what is changed in moto's fleets: their instances end when the fleet does, and a fleet that nobody made is an error.

Refuses nothing by itself.
"""

from __future__ import annotations

from typing import Any


def install() -> None:
    """Patches DeleteFleets. moto's own counts down from a capacity that is a float of its own making, and fails for unknown fleets."""
    from moto.core.responses import ActionResult
    from moto.ec2.responses.fleets import Fleets

    def delete_fleets(self: Any) -> Any:
        self.error_on_dryrun()
        end = self._get_bool_param("TerminateInstances")
        done, failed = [], []
        for name in self._get_param("FleetIds", []):
            fleet = self.ec2_backend.fleets.get(name)
            if fleet is None:
                error = {"Code": "fleetIdDoesNotExist", "Message": f"The fleet ID '{name}' does not exist"}
                failed.append({"FleetId": name, "Error": error})
                continue
            before, fleet.state = fleet.state, "deleted_terminating" if end else "deleted_running"
            if end:
                terminate(fleet)
            done.append({"FleetId": name, "PreviousFleetState": before, "CurrentFleetState": fleet.state})
        return ActionResult({"SuccessfulFleetDeletions": done, "UnsuccessfulFleetDeletions": failed})

    Fleets.delete_fleets = delete_fleets


def terminate(fleet: Any) -> None:
    """Ends every instance of a fleet."""
    fleet.target_capacity = 0
    for instance in [request.instance for request in fleet.spot_requests] + [
        entry["instance"] for entry in fleet.on_demand_instances
    ]:
        if instance.state not in ("shutting-down", "terminated"):
            instance.terminate()
    fleet.spot_requests, fleet.on_demand_instances = [], []
