"""Which gateways report and yet serve nobody as they should: what of their needs is to be mended.

It judges as the gateway's page does (`newcomer`), by a flat number of queries for the whole fleet.

Source: docs/how-to/run-gateways.md
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from ferriage.fleet import newcomer
from ferriage.fleet.models import Gateway, PoolGateway

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ferriage.fleet.newcomer import Step


def of(gateways: Iterable[Gateway]) -> dict[int, list[Step]]:
    """Return by key of the gateway what of its needs is to be mended, where anything is.

    A line that is not open is none of the gateway's: the register closed it, or staff hold it.
    """
    rows = list(gateways)
    silent = _with_silent_ports()
    suspects = [row for row in rows if _has_failed(row) or row.pk in silent]
    if not suspects:
        return {}
    answered = Gateway.objects.filter(probe=Gateway.Probe.ANSWERED)
    answering = set(answered.values_list("pk", flat=True))
    members = _members(suspects)
    found = {
        row.pk: [
            step
            for step in newcomer.steps(row, members[row.pk], answering=answering)
            if step.state == "failed" and step.slug != "line"
        ]
        for row in suspects
    }
    return {key: steps for key, steps in found.items() if steps}


def _has_failed(gateway: Gateway) -> bool:
    failed = any(check["state"] == "failed" for check in gateway.checks)
    return failed or gateway.probe == Gateway.Probe.SILENT


def _with_silent_ports() -> set[int]:
    found = PoolGateway.objects.filter(probe=Gateway.Probe.SILENT).order_by()
    return set(found.values_list("gateway", flat=True))


def _members(gateways: Iterable[Gateway]) -> Mapping[int, list[PoolGateway]]:
    by_gateway: dict[int, list[PoolGateway]] = defaultdict(list)
    rows = PoolGateway.objects.filter(gateway__in=gateways).order_by("gateway", "interface")
    for member in rows.select_related("pool__line"):
        by_gateway[member.gateway_id].append(member)
    return by_gateway
