"""`/metrics`: the site's figures for Prometheus, behind a bearer token.

Source: docs/reference/metrics.md
"""

from __future__ import annotations

import hmac
from http import HTTPStatus
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import Http404, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from ferriage.core import clock
from ferriage.web.metrics.fleet import Fleet
from ferriage.web.metrics.shop import Shop

if TYPE_CHECKING:
    from django.http import HttpRequest

    from ferriage.config import Config


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer a scrape; 404 while `metrics.token` is empty, 401 for another token.

    Every figure is read from the database at the scrape, so it does not matter which of several
    processes answers, and none keeps a count of its own.
    """
    config: Config = settings.FERRIAGE
    if not config.metrics.token:
        raise Http404
    wanted = f"Bearer {config.metrics.token}"
    if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), wanted.encode()):
        return HttpResponse(
            "token\n",
            status=HTTPStatus.UNAUTHORIZED,
            content_type="text/plain",
            headers={"WWW-Authenticate": "Bearer"},
        )
    now = clock.now()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Fleet(now))
    registry.register(Shop(now))
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
