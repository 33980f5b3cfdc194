"""The agent's figures for Prometheus, as a file that node_exporter's textfile collector reads.

A file, since the agent listens nowhere. Figures are of pools and of the host, never of a device.

Source: docs/reference/metrics.md
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from ferriage import __version__
from ferriage.agent import host
from ferriage.agent.holdfile import write_changed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.core import Metric

    from ferriage import wire
    from ferriage.agent.clock import SiteClock
    from ferriage.agent.engine import Engine

# A switch of the library's whole process: without it each series has a second one, `…_created`,
# with the instant at which this process began to count.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library types it not

log = structlog.get_logger()

FILE: Final = "metrics.prom"
_POOL: Final = ("pool",)
_OF_POOLS: Final = {
    "applied_revision": "Revision of the pool that is applied.",
    "line_open": "1 while the pool's line is open here.",
    "peers": "Peers of the pool's interface.",
    "refused_records": "Records that cannot be applied.",
    "deferred_removals": "Devices that a snapshot did not name and that wait for staff.",
}
_BUCKETS: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60)


class Figures(Collector):
    """What the file says; `report` is the last one that was made, with its warnings."""

    def __init__(self, engine: Engine, clock: SiteClock, run_dir: str) -> None:
        self._engine = engine
        self._clock = clock
        self._path = Path(run_dir) / FILE
        self._registry = CollectorRegistry()
        self._apply = Histogram(
            "ferriage_agent_apply_seconds",
            "Time from a batch in hand to its last element and peer.",
            _POOL,
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._registry.register(self)
        self.report: wire.Report | None = None
        self.answered_at = 0.0
        self.holds_lease = False

    def applied(self, pool: str, seconds: float) -> None:
        """Count one batch."""
        self._apply.labels(pool).observe(seconds)

    def write(self) -> None:
        """Write the file anew; a host on which that fails keeps its tunnels."""
        try:
            write_changed(self._path, generate_latest(self._registry))
            self._path.chmod(0o644)
        except OSError as error:
            log.warning("figures.not_written", reason=str(error))

    def describe(self) -> Iterable[Metric]:
        """Promise nothing beforehand: what there is depends on the pools."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Return the figures as they are now."""
        yield self._info()
        yield from self._of_agent()
        if self.report is not None:
            yield from self._of_pools(self.report)
            yield from self._of_permits()
            yield self._bytes(self.report)
            yield self._signs(self.report)
        yield self._elements()
        yield from self._connections()

    def _info(self) -> Metric:
        family = InfoMetricFamily("ferriage_agent", "This agent and who does WireGuard.")
        family.add_metric((), {"version": __version__, "backend": self._engine.backend_name})
        return family

    def _of_agent(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "ferriage_agent_site_answered_timestamp_seconds",
            "When the site last took a report, in site time; 0 for never.",
            self.answered_at,
        )
        yield GaugeMetricFamily(
            "ferriage_agent_clock_timestamp_seconds",
            "Site time when this was written.",
            self._clock.now(),
        )
        yield GaugeMetricFamily(
            "ferriage_agent_lease_held",
            "1 while this agent may change its gateway, 0 while another one holds the lease.",
            int(self.holds_lease),
        )
        warnings = len(self.report.warnings) if self.report else 0
        yield GaugeMetricFamily("ferriage_agent_warnings", "Warnings in the last report.", warnings)

    def _of_pools(self, report: wire.Report) -> Iterator[Metric]:
        refused = self._engine.refused()
        families = {
            name: GaugeMetricFamily(f"ferriage_agent_{name}", documentation, labels=_POOL)
            for name, documentation in _OF_POOLS.items()
        }
        for status in report.pools:
            values = {
                "applied_revision": status.rev,
                "line_open": int(status.line_open),
                "peers": status.peers,
                "refused_records": len(refused.get(status.pool, ())),
                "deferred_removals": status.deferred.count if status.deferred else 0,
            }
            for name, value in values.items():
                families[name].add_metric((status.pool,), value)
        yield from families.values()

    def _of_permits(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "ferriage_agent_permit_left_seconds",
            "How long the permit in hand keeps the line open; 0 when it does not.",
            labels=_POOL,
        )
        for code, pool in self._engine.pools.items():
            family.add_metric((code,), max(0.0, pool.open_until() - self._clock.now()))
        yield family

    @staticmethod
    def _bytes(report: wire.Report) -> Metric:
        family = CounterMetricFamily(
            "ferriage_agent_bytes",
            "Bytes that were let through, in this life of the counters.",
            labels=("pool", "direction"),
        )
        for usage in report.usage:
            if not usage.device and not usage.final:
                family.add_metric((usage.pool, "down"), usage.bytes_down)
                family.add_metric((usage.pool, "up"), usage.bytes_up)
        return family

    @staticmethod
    def _signs(report: wire.Report) -> Metric:
        family = CounterMetricFamily(
            "ferriage_agent_changes_mended",
            "Changes by somebody else that were put right since this agent began.",
            labels=("kind", "pool"),
        )
        for sign in report.signs:
            if sign.kind != "slow-build":
                family.add_metric((sign.kind, sign.pool), sign.count)
        return family

    def _elements(self) -> Metric:
        family = GaugeMetricFamily(
            "ferriage_agent_nft_elements", "Elements of the sets of our nft table.", labels=("set",)
        )
        for name, count in self._engine.element_counts().items():
            family.add_metric((name,), count)
        return family

    @staticmethod
    def _connections() -> Iterator[Metric]:
        count, most = host.connections()
        yield GaugeMetricFamily(
            "ferriage_agent_connections", "Connections that the host's kernel keeps.", count
        )
        yield GaugeMetricFamily(
            "ferriage_agent_connections_most", "As many as it keeps; full, nobody begins one.", most
        )
