"""Which customer is asking. Their session is ours, apart from Django's, which is for staff.

The cookie holds a random token and nothing else; only its keyed hash is stored.

Source: docs/explanation/portal.md
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Final, cast

from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.http import urlencode

from ferriage.accounts import queries as accounts
from ferriage.accounts.actions import SESSION_LENGTH
from ferriage.core import clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from django.http import HttpResponse

    from ferriage.accounts.models import Account

    type View = Callable[..., HttpResponse]

COOKIE: Final = "ferriage_customer"


class VisitorRequest(HttpRequest):
    """A request to the shop. Views read the clock and the customer from it, nowhere else."""

    now: datetime
    customer: Account | None


class CustomerRequest(VisitorRequest):
    """A request of somebody who is logged in with an account number."""

    customer: Account


def for_everybody(view: View) -> View:
    """Let anybody see a page; `request.customer` is None for a stranger."""

    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        visitor = _visitor(request)
        response = view(visitor, *args, **kwargs)
        if visitor.customer is not None:
            add_never_cache_headers(response)
        return response

    return inner


def for_customers(view: View) -> View:
    """Let only a customer see a page, and send others to the log-in page first."""

    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        visitor = _visitor(request)
        if visitor.customer is None:
            return redirect(_log_in_url(request))
        response = view(visitor, *args, **kwargs)
        add_never_cache_headers(response)
        return response

    return inner


def remember(response: HttpResponse, token: str, length: timedelta = SESSION_LENGTH) -> None:
    """Give the browser its session; scripts cannot read it, other sites cannot send it along."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(length.total_seconds()),
        secure=settings.FERRIAGE.site.secure_cookies,
        httponly=True,
        samesite="Lax",
    )


def forget(response: HttpResponse) -> None:
    """Take the session away from the browser."""
    response.delete_cookie(COOKIE, samesite="Lax")


def _visitor(request: HttpRequest) -> VisitorRequest:
    visitor = cast("VisitorRequest", request)
    visitor.now = clock.now()
    token = request.COOKIES.get(COOKIE, "")
    visitor.customer = accounts.account_by_session(token, visitor.now) if token else None
    return visitor


def _log_in_url(request: HttpRequest) -> str:
    # Only a page can be come back to; the answer to a form cannot.
    query = {"next": request.get_full_path()} if request.method == "GET" else {}
    return f"{reverse('log-in')}?{urlencode(query)}" if query else reverse("log-in")
