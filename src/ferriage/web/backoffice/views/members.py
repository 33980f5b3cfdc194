"""Closed services: the named people who may use them, from their invitation to their leaving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.members import actions, queries, userfile
from ferriage.members.models import ClosedService, Member
from ferriage.plans.models import Plan
from ferriage.web.backoffice.fields import row
from ferriage.web.backoffice.pages import form_page, said

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from ferriage.web.backoffice.access import StaffRequest

PER_PAGE = 100
STATES = [
    ("", gettext_lazy("all")),
    (Member.State.INVITED, gettext_lazy("invited")),
    (Member.State.ACTIVE, gettext_lazy("active")),
    (Member.State.LEFT, gettext_lazy("left")),
]


class CloseForm(forms.Form):
    """The plan that the named people of a service get."""

    plan = forms.ModelChoiceField(
        Plan.objects.filter(withdrawn_at=None).select_related("service").order_by("pk"),
        label=gettext_lazy("Plan"),
        help_text=gettext_lazy("On a line for own staff or an organisation's members."),
    )


class FilterForm(forms.Form):
    """Whom to list."""

    state = forms.ChoiceField(label=gettext_lazy("State"), choices=STATES, required=False)
    text = forms.CharField(label=gettext_lazy("Name or reference"), max_length=100, required=False)


class PersonForm(forms.Form):
    """A person as the organisation knows them."""

    reference = forms.CharField(
        label=gettext_lazy("Personnel or member reference"),
        max_length=userfile.LONGEST_REFERENCE,
        help_text=gettext_lazy("Personnel or member number; each person has one of their own."),
    )
    name = forms.CharField(label=gettext_lazy("Full name"), max_length=userfile.LONGEST_NAME)
    language = forms.ChoiceField(label=gettext_lazy("Language"), choices=settings.LANGUAGES)


class NameForm(forms.Form):
    """A person's name, put right."""

    name = forms.CharField(label=gettext_lazy("Full name"), max_length=userfile.LONGEST_NAME)


def index(request: StaffRequest) -> HttpResponse:
    """List the closed services."""
    return render(
        request, "backoffice/closed_services.html", {"services": queries.closed_services()}
    )


def close(request: StaffRequest) -> HttpResponse:
    """Make a plan the one that the named people of its service get."""

    def act(typed: dict[str, Any]) -> HttpResponse:
        closed = actions.close_service(
            plan=typed["plan"], now=request.now, actor=request.staff.actor
        )
        text = _("The plan is for named people. Enter or import them.")
        return said(request, text, "staff-members", closed.service.code)

    return form_page(
        request,
        CloseForm(request.POST or None),
        title=_("Close a service"),
        submit=_("Close it"),
        back=reverse("staff-closed"),
        act=act,
        intro=_(
            "A closed service has no public page, no sign-up and no vouchers. Each person on its "
            "list gets this plan at price 0 when they accept."
        ),
    )


def people(request: StaffRequest, code: str) -> HttpResponse:
    """List the people of one closed service: the user file."""
    closed = _closed(code)
    form = FilterForm(request.GET)
    rows = Member.objects.filter(closed=closed).order_by("name", "pk")
    if form.is_valid():
        rows = _filtered(rows, form.cleaned_data)
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    query = request.GET.copy()
    query.pop("page", None)
    context = {
        "closed": closed,
        "form": form,
        "page": page,
        "entries": queries.entries(list(page.object_list)),
        "query": query.urlencode(),
    }
    return render(request, "backoffice/members.html", context)


def enter(request: StaffRequest, code: str) -> HttpResponse:
    """Put one person on the list and make their invitation."""
    closed = _closed(code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        member, token = actions.enter_and_invite(
            closed=closed, **typed, now=request.now, actor=request.staff.actor
        )
        return _link_page(request, member, token)

    return form_page(
        request,
        PersonForm(request.POST or None),
        title=_("Invite a person"),
        submit=_("Enter and make link"),
        back=reverse("staff-members", args=[code]),
        act=act,
        intro=_("Name and reference are kept for as long as the law asks for a user file."),
    )


def invite(request: StaffRequest, code: str) -> HttpResponse:
    """Make an invitation for somebody who has not accepted, comes back, or lost their number."""
    member = _member(code)
    token = actions.invite(member=member, now=request.now, actor=request.staff.actor)
    return _link_page(request, member, token)


def rename(request: StaffRequest, code: str) -> HttpResponse:
    """Put a person's name right."""
    member = _member(code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.rename(
            member=member, name=typed["name"], now=request.now, actor=request.staff.actor
        )
        return said(request, _("The name is changed."), "staff-members", _service(member))

    return form_page(
        request,
        NameForm(request.POST or None, initial={"name": member.name}),
        title=_("Name of %(reference)s") % {"reference": member.reference},
        submit=_("Change name"),
        back=reverse("staff-members", args=[_service(member)]),
        act=act,
    )


def leave(request: StaffRequest, code: str) -> HttpResponse:
    """Note that a person has left, after asking once more."""
    member = _member(code)

    def act(_typed: dict[str, Any]) -> HttpResponse:
        actions.leave(member=member, now=request.now, actor=request.staff.actor)
        text = _("%(name)s has left. Their devices are held on every gateway.")
        return said(request, text % {"name": member.name}, "staff-members", _service(member))

    return form_page(
        request,
        forms.Form(request.POST if request.method == "POST" else None),
        title=_("%(name)s has left") % {"name": member.name},
        submit=_("Mark as left"),
        back=reverse("staff-members", args=[_service(member)]),
        act=act,
        intro=_(
            "Their devices are held at once, their number and sessions open nothing any more. "
            "They can be invited back."
        ),
    )


def export(request: StaffRequest, code: str) -> HttpResponse:
    """Answer with the user file as CSV."""
    closed = _closed(code)
    members = Member.objects.filter(closed=closed).order_by("reference")
    text = userfile.export(queries.entries(list(members)))
    response = HttpResponse("\ufeff" + text, content_type="text/csv; charset=utf-8")
    name = f"{closed.service.slug}-{request.now:%Y-%m-%d}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def invitation_link(token: str) -> str:
    """Return the address that an invited person opens."""
    site: str = settings.FERRIAGE.site.url
    return site.rstrip("/") + reverse("invitation", args=[token])


def _link_page(request: StaffRequest, member: Member, token: str) -> HttpResponse:
    context = {"member": member, "link": invitation_link(token), "back": _service(member)}
    return render(request, "backoffice/member_link.html", context)


def _closed(code: str) -> ClosedService:
    rows = ClosedService.objects.select_related("service", "plan__service")
    return get_object_or_404(rows, service__code=code)


def _member(code: str) -> Member:
    return row(Member, code)


def _service(member: Member) -> str:
    return member.closed.service.code


def _filtered(rows: QuerySet[Member], typed: dict[str, str]) -> QuerySet[Member]:
    if typed["state"]:
        rows = rows.filter(state=typed["state"])
    if typed["text"]:
        text = typed["text"].strip()
        rows = rows.filter(Q(name__icontains=text) | Q(reference__icontains=text))
    return rows
