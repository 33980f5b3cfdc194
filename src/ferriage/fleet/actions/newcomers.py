"""What is noted of a gateway that comes to life, and of one whose release is another."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage import wire
from ferriage.core import audit
from ferriage.core.actors import Actor
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.models import AuditEntry
from ferriage.fleet.models import Gateway, PoolCurrent, PoolGateway

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

_FORMAT_NOTED: Final = "gateway.format_refused"
_NOTED_AGAIN: Final = timedelta(hours=1)
MOST_CHECKS: Final = 64
WITHHELD: Final = "its record needs a newer agent than this gateway's; upgrade the gateway"
_MOST_WITHHELD: Final = 100
_MOST_TEXT: Final = 200
_LARGEST: Final = (1 << 31) - 1
_SLUG: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST_SLUG: Final = 24


class FormatRefused(FerriageError):
    """An agent more than one minor version away from this site."""

    slug = wire.FORMAT_REFUSED
    status = 400

    def __init__(self, spoken: int) -> None:
        super().__init__(
            _("The agent speaks format %(agent)s, this site speaks %(older)s and %(newer)s.")
            % {"agent": spoken, "older": wire.SPOKEN[0], "newer": wire.SPOKEN[1]},
            _("They may be one minor version apart. Install this site's release on the gateway."),
        )


def refuse_format(*, gateway: Gateway, spoken: int, now: datetime) -> FormatRefused:
    """Note for staff that a gateway speaks a format that is not spoken here.

    Returns:
        The refusal, to be raised once the note is kept.
    """
    number = min(max(spoken, 0), _LARGEST)
    with writing():
        rows = Gateway.objects.filter(pk=gateway.pk).exclude(spoken=number)
        if rows.update(spoken=number) and not _noted(gateway, now):
            audit.record(
                now=now,
                actor=Actor("gateway", gateway.code),
                action=_FORMAT_NOTED,
                subject=gateway.code,
                format=number,
            )
    return FormatRefused(spoken)


def _noted(gateway: Gateway, now: datetime) -> bool:
    """Tell whether it was noted within the hour: the audit log keeps whatever a key writes."""
    entries = AuditEntry.objects.filter(action=_FORMAT_NOTED, subject=gateway.code)
    return entries.filter(at__gt=now - _NOTED_AGAIN).exists()


def plain_checks(checks: tuple[wire.Check, ...]) -> bool:
    """Tell whether checks are such as an agent makes: few, and named by slugs."""
    return len(checks) <= MOST_CHECKS and all(
        _is_slug(check.slug) and (check.remedy == "" or _is_slug(check.remedy)) for check in checks
    )


def _is_slug(text: str) -> bool:
    return len(text) <= _LONGEST_SLUG and _SLUG.fullmatch(text) is not None


def keep_checks(gateway: Gateway, report: wire.Report, outward: str, now: datetime) -> None:
    """Put what a report says of the host into the row, which the caller saves.

    Args:
        outward: The address that the report came from; empty when that cannot be told.
    """
    gateway.spoken = report.format
    gateway.outward_address = outward
    if report.checks:
        gateway.checked_at = now
        gateway.checks = [
            {
                "slug": check.slug,
                "state": check.state,
                "value": check.value.replace("\0", "")[:_MOST_TEXT],
                "remedy": check.remedy,
            }
            for check in report.checks
        ]


def show_withheld(gateway: Gateway, spoken: int) -> None:
    """Show as refused what the hub does not tell a gateway of an older format."""
    if spoken == wire.FEED_FORMAT:
        return
    newer = PoolCurrent.objects.filter(
        pool__memberships__gateway=gateway, kind="put", needs__gt=spoken
    )
    withheld: dict[int, list[dict[str, str]]] = {}
    for pool, device in newer.order_by("pk").values_list("pool_id", "subject")[:_MOST_WITHHELD]:
        withheld.setdefault(pool, []).append({"device": device, "reason": WITHHELD})
    members = list(PoolGateway.objects.filter(gateway=gateway, pool_id__in=withheld))
    for member in members:
        member.refused = [*member.refused, *withheld[member.pool_id]]
    PoolGateway.objects.bulk_update(members, ["refused"])


def begin_anew(gateway: Gateway) -> None:
    """Forget what was seen of a gateway's former host; the caller saves the row."""
    gateway.spoken, gateway.outward_address = None, ""
    gateway.checks, gateway.checked_at = [], None
    gateway.probe, gateway.probed_at = "", None


def note_probe(*, gateway: Gateway, outcomes: Mapping[int, Gateway.Probe], now: datetime) -> bool:
    """Note what came of the handshakes that were tried with a gateway, by UDP port.

    The gateway has answered when each of its ports has.

    Returns:
        False when its address or key changed meanwhile: then it says nothing of the gateway.
    """
    with writing():
        same = Gateway.objects.filter(
            pk=gateway.pk,
            endpoint_host=gateway.endpoint_host,
            endpoint_port=gateway.endpoint_port,
            wireguard_key=gateway.wireguard_key,
        )
        if same.update(probe=_worst(outcomes.values()), probed_at=now) != 1:
            return False
        members = list(PoolGateway.objects.filter(gateway=gateway, listen_port__in=outcomes))
        for member in members:
            member.probe = outcomes[member.listen_port]
        PoolGateway.objects.bulk_update(members, ["probe"])
    return True


def _worst(outcomes: Collection[Gateway.Probe]) -> Gateway.Probe:
    order = (Gateway.Probe.SILENT, Gateway.Probe.UNSENT, Gateway.Probe.ANSWERED)
    return next(outcome for outcome in order if outcome in outcomes)
