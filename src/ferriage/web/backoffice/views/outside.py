"""The pages of an outside verifier: one record and its evidence, by a link that answers once.

No log-in, no cookie, no way to anything else. The token in the address is all the authority there
is, so the form needs no second one against forgery, and no page may tell the address to others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.http import Http404
from django.shortcuts import get_object_or_404, render
from django.utils.cache import add_never_cache_headers
from django.utils.translation import get_language, gettext_lazy
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables

from ferriage.approvals import actions, reasons, site
from ferriage.approvals.models import Approval, Decision
from ferriage.approvals.queries import outside_link
from ferriage.approvals.store import EvidenceUnreadable
from ferriage.core import clock
from ferriage.core.errors import FerriageError
from ferriage.fleet import actions as fleet
from ferriage.fleet.models import Line
from ferriage.web.backoffice.files import evidence_file
from ferriage.web.shared.refusals import status_of

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse
    from django.http.response import HttpResponseBase

    from ferriage.approvals.models import ClockRepair, OutsideLink

GONE, FORBIDDEN, UNPROCESSABLE, UNAVAILABLE = 410, 403, 422, 503


class AnswerForm(forms.Form):
    """Who answers, what they looked at, and yes or no."""

    name = forms.CharField(
        label=gettext_lazy("Your name"),
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    relation = forms.CharField(
        label=gettext_lazy("What you are to the operator"),
        max_length=200,
        help_text=gettext_lazy("Such as: bookkeeper, lawyer, board member, friend."),
    )
    looked_at = forms.CharField(
        label=gettext_lazy("What you looked at"),
        help_text=gettext_lazy("Such as: the licence as a file, and the authority's register."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    verdict = forms.ChoiceField(
        label=gettext_lazy("Your answer"),
        choices=[
            ("confirm", gettext_lazy("I confirm: what is recorded says what I looked at.")),
            ("decline", gettext_lazy("I do not confirm it.")),
        ],
        widget=forms.RadioSelect,
    )
    reason = forms.CharField(
        label=gettext_lazy("If you do not: why"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def answer(self) -> actions.Answer:
        """Return what was written as the register takes it."""
        typed = self.cleaned_data
        return actions.Answer(
            name=typed["name"],
            relation=typed["relation"],
            looked_at=typed["looked_at"],
            confirmed=typed["verdict"] == "confirm",
            reason=typed["reason"],
        )


@csrf_exempt
@sensitive_variables("token")
def answer(request: HttpRequest, token: str) -> HttpResponseBase:
    """Show the record of a link, and take the one answer that it takes."""
    now = clock.now()
    link = outside_link(token, now)
    if link is None:
        return _page(request, "backoffice/outside_gone.html", GONE)
    if request.user.is_authenticated:
        return _page(request, "backoffice/outside_staff.html", FORBIDDEN)
    form = AnswerForm(request.POST or None)
    status = 200
    if request.method == "POST":
        status = UNPROCESSABLE
        if form.is_valid():
            try:
                given = fleet.answer_outside_link(token=token, answer=form.answer(), now=now)
                return _page(request, "backoffice/outside_done.html", answer=given)
            except FerriageError as refusal:
                form.add_error(None, str(refusal))
                status = status_of(refusal)
    context = _shown(link, now)
    return _page(request, "backoffice/outside.html", status, form=form, token=token, **context)


@sensitive_variables("token")
def evidence(request: HttpRequest, token: str, pk: int) -> HttpResponseBase:
    """Hand out a file of the record that the link is for, and of no other."""
    link = outside_link(token, clock.now())
    if link is None or request.user.is_authenticated:
        return answer(request, token)
    if link.approval is None:
        raise Http404
    found = get_object_or_404(link.approval.evidence, pk=pk)
    try:
        return sealed_off(evidence_file(found))
    except EvidenceUnreadable:
        # What is wrong on the operator's disk is nothing for outside.
        return _page(request, "backoffice/outside_unreadable.html", UNAVAILABLE)


def _shown(link: OutsideLink, now: datetime) -> dict[str, Any]:
    """Return what the page shows: an approval, or a clock repair."""
    if link.approval is not None:
        return _approval(link.approval)
    assert link.repair is not None  # noqa: S101 -- the database holds exactly one
    return _repair(link.repair, now)


def _approval(approval: Approval) -> dict[str, Any]:
    scope = Line.objects.filter(code__in=approval.lines.values("line_code")).order_by("name")
    return {
        "approval": approval,
        "kind": reasons.kind_name(approval.kind, get_language() or "en", site.packs_in_force()),
        "lines": scope,
        "evidence": approval.evidence.order_by("pk"),
    }


def _repair(repair: ClockRepair, now: datetime) -> dict[str, Any]:
    ends = Decision.objects.filter(sequence__in=[repair.first_sequence, repair.last_sequence])
    return {"repair": repair, "decisions": ends.order_by("sequence"), "now": now}


def _page(request: HttpRequest, template: str, status: int = 200, **context: Any) -> HttpResponse:
    return sealed_off(render(request, template, context, status=status))


def sealed_off[R: HttpResponseBase](response: R) -> R:
    """Let no browser keep the page or tell its address."""
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex"
    add_never_cache_headers(response)
    return response
