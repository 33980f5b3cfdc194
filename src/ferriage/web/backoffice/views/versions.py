"""What a second look brings: a correction as a new version, or a link for somebody outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.approvals import actions, site
from ferriage.approvals.models import Approval
from ferriage.fleet.models import Line
from ferriage.web.backoffice.fields import row
from ferriage.web.backoffice.pages import form_page, said
from ferriage.web.backoffice.views.approvals import ApprovalForm

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest


class CorrectionForm(ApprovalForm):
    """The record anew, and what was wrong with the one before."""

    renews = None  # type: ignore[assignment]  # how Django takes a field out of a form
    reason = forms.CharField(
        label=gettext_lazy("What is wrong with the version before"), max_length=200
    )
    field_order = ["reason"]


def correct(request: StaffRequest, code: str) -> HttpResponse:
    """Begin a new version of a record that says something wrong."""
    former = row(Approval, code)
    form = CorrectionForm(request.POST or None, initial=_before(former))

    def act(typed: dict[str, Any]) -> HttpResponse:
        version = actions.correct(
            approval=former,
            says=actions.Record(**form.says()),
            reason=typed["reason"],
            packs=site.packs_in_force(),
            now=request.now,
            actor=request.staff.actor,
        )
        text = _("The new version is begun. Enter the document next; another person verifies it.")
        return said(request, text, "staff-approval", version.code)

    return form_page(
        request,
        form,
        title=_("Correct %(approval)s") % {"approval": former},
        submit=_("Begin the new version"),
        back=reverse("staff-approval", args=[code]),
        act=act,
        intro=_(
            "Nothing recorded is changed: this begins a new version, which takes the place of the "
            "one before when it is verified. What is wrong and dangerous is stopped faster by "
            "holding the line."
        ),
    )


def invite_outside(request: StaffRequest, code: str) -> HttpResponse:
    """Make a link with which one person from outside verifies this approval."""
    token = actions.create_outside_link(
        subject=row(Approval, code), now=request.now, actor=request.staff.actor
    )
    return link_page(
        request, token, _("Link for an outside verifier"), reverse("staff-approval", args=[code])
    )


def link_page(request: StaffRequest, token: str, title: str, back: str) -> HttpResponse:
    """Show a link that was just made, this once."""
    url: str = settings.FERRIAGE.site.url
    link = url.rstrip("/") + reverse("outside-link", args=[token])
    context = {"link": link, "title": title, "back": back, "days": actions.LINK_LENGTH.days}
    return render(request, "backoffice/outside_made.html", context)


def _before(former: Approval) -> dict[str, Any]:
    names = ("kind", "holder", "conditions", "capacity", "customers")
    lines = Line.objects.filter(code__in=former.lines.values("line_code"))
    return {**{name: getattr(former, name) for name in names}, "lines": list(lines)}
