"""An invited person's first page: what is kept about them, and the button that accepts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods

from ferriage.accounts import actions as accounts
from ferriage.core.actors import CUSTOMER
from ferriage.members import actions, queries, site
from ferriage.web.portal.catalogue import known_places
from ferriage.web.portal.customer import for_everybody, remember

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.members.models import Invitation
    from ferriage.web.portal.customer import VisitorRequest

GONE, UNPROCESSABLE = 410, 422


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@sensitive_variables("token", "accepted")
@for_everybody
def invitation(request: VisitorRequest, token: str) -> HttpResponse:
    """Show an invitation; looking at it, as programs that fetch links do, accepts nothing."""
    found = queries.invitation(token, request.now)
    if found is None:
        return render(request, "portal/invitation_gone.html", status=GONE)
    first = queries.places_of(found.member.closed)
    places = known_places(first=first)
    place = request.POST.get("place", first[0] if len(first) == 1 else "")
    errors = _errors(request, place, places) if request.method == "POST" else []
    if request.method == "POST" and not errors:
        return _accept(request, found, token, place)
    context = {
        "member": found.member,
        "places": places,
        "chosen": place,
        "consent": request.POST.get("consent") == "yes",
        "errors": errors,
    }
    status = UNPROCESSABLE if errors else 200
    return render(request, "portal/invitation.html", context, status=status)


def _errors(request: VisitorRequest, place: str, places: tuple[str, ...]) -> list[str]:
    errors = []
    if place not in places:
        errors.append(_("Choose the place you are in."))
    if request.POST.get("consent") != "yes":
        errors.append(_("Tick the box, or nothing can begin."))
    return errors


def _accept(request: VisitorRequest, found: Invitation, token: str, place: str) -> HttpResponse:
    """Make the person active and log them in; who has no provider to sign in with gets a number."""
    accepted = actions.accept(token=token, place=place, now=request.now, actor=CUSTOMER)
    request.customer = accepted.account
    if found.by_sign_in or accepted.member.subject:
        response: HttpResponse = redirect("account")
        length = site.session_length()
    else:
        response = render(request, "portal/member_number.html", {"number": accepted.number})
        length = accounts.SESSION_LENGTH
    session = accounts.start_session(account=accepted.account, now=request.now, length=length)
    remember(response, session, length)
    return response
