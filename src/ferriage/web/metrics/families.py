"""Making families of figures: a name, what it means, labels, and values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def gauge(
    name: str,
    documentation: str,
    labels: Sequence[str] = (),
    values: Iterable[tuple[Sequence[str], float]] = (),
) -> GaugeMetricFamily:
    """Return a gauge called `ferriage_<name>`; a family without values is still described."""
    family = GaugeMetricFamily(f"ferriage_{name}", documentation, labels=labels)
    for row, value in values:
        family.add_metric(row, value)
    return family


def counted(
    name: str, documentation: str, label: str, states: Iterable[str], found: Mapping[str, int]
) -> GaugeMetricFamily:
    """Return how many there are of each state, zeros too: an absent series alarms nobody."""
    return gauge(name, documentation, (label,), [((s,), found.get(s, 0)) for s in states])
