"""What Django logs of a request: which page it was, never its address.

An address can hold a staff link's token, or the code of somebody's device; the log is kept by
the host, read by others, and outlives the link.
"""

from __future__ import annotations

import logging
from typing import Final

LOGGERS: Final = ("django.request", "django.security.csrf")


def hide_addresses() -> None:
    """Let Django's loggers of requests name the route in place of the address.

    Of a refusal, such as of a page that another role may see, a line is enough: nothing broke.
    What a template could not find is never logged: that names all that the page was given.
    """
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_name_route)
    logging.getLogger("django.template").setLevel(logging.INFO)


def _name_route(record: logging.LogRecord) -> bool:
    request = getattr(record, "request", None)
    address = getattr(request, "path", None)
    match = getattr(request, "resolver_match", None)
    shown = f"/{match.route}" if match else "no page"
    if isinstance(record.args, tuple):
        record.args = tuple(shown if value == address else value for value in record.args)
    if record.levelno < logging.ERROR:
        record.exc_info = None
    return True
