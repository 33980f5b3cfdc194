"""One shape of log lines for the programs of a gateway."""

from __future__ import annotations

import logging
import sys

import structlog


def hush() -> None:
    """Log warnings alone, for a command whose own sentences would stand between events."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


def configure_log() -> None:
    """Log JSON lines to standard error: events are noun.verb, never keys or who goes where."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
