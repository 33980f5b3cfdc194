"""Which devices may go because a snapshot does not name them. Pure.

A delete says so and is obeyed. Silence may also be a hub that reads the wrong database, or a backup
that is older than a sale: then nobody loses what was paid before a person has looked.

Source: docs/explanation/gateway.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ferriage import wire

FEW: Final = 3
SHARE: Final = 10
"""One in so many may be missing."""


class Missing(NamedTuple):
    """Devices that a snapshot does not name: those that go, and those that wait for staff."""

    gone: frozenset[str]
    deferred: frozenset[str]


def plausible(missing: int, held: int) -> bool:
    """Tell whether so many of the held devices can have gone unsaid."""
    return (missing * SHARE <= held and missing < held) or missing <= FEW < held


def split(
    held: Mapping[str, wire.Device], missing: frozenset[str], puts: Iterable[wire.Device]
) -> Missing:
    """Judge devices that a snapshot does not name.

    Whoever stands where a device must be that was named goes at once: an address or a key
    belongs to the one whom the site gave it to last.

    Args:
        held: All devices before the snapshot, those deferred earlier among them.
        missing: Names of those that the snapshot neither brings nor deletes.
        puts: What it brings.
    """
    if plausible(len(missing), len(held)):
        return Missing(missing, frozenset())
    gone = in_the_way({name: held[name] for name in missing}, puts)
    return Missing(gone, missing - gone)


def in_the_way(deferred: Mapping[str, wire.Device], puts: Iterable[wire.Device]) -> frozenset[str]:
    """Return which deferred devices hold what a named device needs."""
    if not deferred:
        return frozenset()
    taken = {claim: device.id for device in puts for claim in claims(device)}
    return frozenset(
        name
        for name, device in deferred.items()
        if any(taken.get(claim, name) != name for claim in claims(device))
    )


def claims(device: wire.Device) -> tuple[tuple[str, object], ...]:
    """Return what only one device of a pool can have."""
    return (
        ("slot", device.slot),
        ("ip4", device.ip4),
        ("ip6", device.ip6),
        ("public_key", device.public_key),
    )
