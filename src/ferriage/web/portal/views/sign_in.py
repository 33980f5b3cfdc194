"""Signing in with the organisation's identity provider: there and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.http import Http404
from django.shortcuts import redirect
from django.utils.cache import add_never_cache_headers
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_safe

from ferriage.accounts import actions as accounts
from ferriage.core.actors import CUSTOMER
from ferriage.members import actions, provider, queries, site
from ferriage.web.portal.customer import for_everybody, remember

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.config import SignInConfig
    from ferriage.members.models import ClosedService
    from ferriage.web.portal.customer import VisitorRequest

COOKIE: Final = "ferriage_sign_in"
"""Ties what comes back to the browser that went: nobody can be made to come in as somebody else."""


@require_safe
@sensitive_variables("errand")
@for_everybody
def begin(request: VisitorRequest) -> HttpResponse:
    """Send a browser to the identity provider."""
    rules, _closed = _door()
    errand = provider.begin(rules, redirect_uri=site.return_address())
    actions.begin_sign_in(errand=errand, now=request.now)
    response = redirect(errand.url)
    response.set_cookie(
        COOKIE,
        errand.state,
        max_age=int(actions.ATTEMPT_LENGTH.total_seconds()),
        secure=settings.FERRIAGE.site.secure_cookies,
        httponly=True,
        samesite="Lax",
    )
    add_never_cache_headers(response)
    return response


@require_safe
@sensitive_variables("attempt", "code", "token")
@for_everybody
def back(request: VisitorRequest) -> HttpResponse:
    """Judge what a browser brings back, and let its owner in or say why not."""
    rules, closed = _door()
    attempt = _attempt(request)
    if "error" in request.GET:
        raise _refused(request.GET["error"][:60])
    identity = provider.finish(
        rules,
        code=request.GET.get("code", ""),
        nonce=attempt.nonce,
        verifier=attempt.verifier,
        redirect_uri=site.return_address(),
        now=request.now,
    )
    outcome = actions.sign_in(
        closed=closed, identity=identity, rules=rules, now=request.now, actor=CUSTOMER
    )
    match outcome:
        case actions.TurnedAway(message, remedy):
            raise provider.SignInRefused(message, remedy)
        case actions.MustAccept(token=token):
            response: HttpResponse = redirect("invitation", token)
        case actions.CameIn(account=account):
            response = redirect("account")
            length = site.session_length()
            session = accounts.start_session(account=account, now=request.now, length=length)
            remember(response, session, length)
    response.delete_cookie(COOKIE, samesite="Lax")
    add_never_cache_headers(response)
    return response


def _attempt(request: VisitorRequest) -> actions.SignInAttempt:
    """Take up what was remembered of this browser, once."""
    state = request.GET.get("state", "")
    if not state or not constant_time_compare(state, request.COOKIES.get(COOKIE, "")):
        raise provider.SignInRefused(
            _("This sign-in was not begun in this browser."), _("Begin it here.")
        )
    return actions.take_attempt(state=state, now=request.now)


def _refused(error: str) -> provider.SignInRefused:
    return provider.SignInRefused(
        _("The identity provider did not let you in (%(error)s).") % {"error": error},
        _("Begin anew, or ask whoever looks after your organisation's accounts."),
    )


def _door() -> tuple[SignInConfig, ClosedService]:
    """Return the settings and the service that people sign in to; without them there is no page."""
    rules = site.sign_in()
    closed = queries.closed_service(rules.service) if rules else None
    if rules is None or closed is None:
        raise Http404
    return rules, closed
