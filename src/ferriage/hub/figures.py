"""The hub's figures for Prometheus: of this process, never of a gateway or a customer.

Source: docs/reference/metrics.md
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from aiohttp import web
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from ferriage.hub.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

# A switch of the library's whole process: without it each series has a second one, `…_created`,
# with the instant at which this process began to count.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library types it not

_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class Figures:
    """Counts since this hub began. Safe to use from both of its threads."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.waiting = Gauge(
            "ferriage_hub_watches_waiting",
            "Watches of gateways that wait for a change now.",
            registry=self._registry,
        )
        self._answers = Counter(
            "ferriage_hub_answers",
            "Answers to gateways: delta, nothing, snapshot, or the slug of a refusal.",
            ("outcome",),
            registry=self._registry,
        )
        self._sent = Counter(
            "ferriage_hub_sent_bytes",
            "Bytes of batches that were sent to gateways.",
            ("batch",),
            registry=self._registry,
        )
        self._lost = Counter(
            "ferriage_hub_database_lost",
            "How often the database did not answer.",
            registry=self._registry,
        )
        self._there = Gauge(
            "ferriage_hub_database_up",
            "1 while the database answers.",
            registry=self._registry,
        )
        self._latency = Histogram(
            "ferriage_hub_change_latency_seconds",
            "From the instant of a change, by the clock of the site, until this hub saw it.",
            buckets=_BUCKETS,
            registry=self._registry,
        )
        for outcome in ("delta", "nothing", "snapshot"):
            self._answers.labels(outcome)
        for batch in ("delta", "snapshot"):
            self._sent.labels(batch)

    def answered(self, outcome: str, sent: int = 0) -> None:
        """Count one answer, with the bytes of its batch."""
        self._answers.labels(outcome).inc()
        if sent:
            self._sent.labels(outcome).inc(sent)

    def database(self, *, there: bool) -> None:
        """Note whether the database answered."""
        self._there.set(int(there))
        if not there:
            self._lost.inc()

    def saw_change(self, seconds: float) -> None:
        """Count how long a change took until it was seen; a clock that is behind counts as 0."""
        self._latency.observe(max(0.0, seconds))

    def text(self) -> bytes:
        """Return all in Prometheus' text format."""
        return generate_latest(self._registry)


def scraped(figures: Figures, request: web.BaseRequest, token: str) -> web.Response:
    """Answer a scrape that brings the token of the settings.

    Raises:
        Refusal: 404 when there is no token, 401 when another one was brought.
    """
    if not token:
        raise Refusal(404, "not-found", "metrics.token is not set.")
    brought = request.headers.get("Authorization", "")
    if not hmac.compare_digest(brought.encode(), f"Bearer {token}".encode()):
        raise Refusal(401, "token", "This is not the bearer token of metrics.token.")
    return web.Response(body=figures.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def newer(before: dict[str, int], after: dict[str, int]) -> Iterator[str]:
    """Return the pools whose revision rose between two looks."""
    return (pool for pool, revision in after.items() if revision > before.get(pool, revision))
