"""Staff: who works here, in which role, and the links that let people in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.accounts import actions
from ferriage.accounts.models import StaffLink, StaffProfile
from ferriage.web.backoffice.pages import form_page, said
from ferriage.web.backoffice.roles import set_role
from ferriage.web.backoffice.secondfactor import who_have_one

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest

ROLE_NAMES = [
    (StaffProfile.Role.OWNER, gettext_lazy("owner: everything")),
    (StaffProfile.Role.PARTNER, gettext_lazy("partner: reads prices, and what is paid to them")),
    (StaffProfile.Role.SUPPORT, gettext_lazy("support: customers, devices, bank transfers")),
    (StaffProfile.Role.AUDITOR, gettext_lazy("auditor: reads everything, changes nothing")),
]


class InviteForm(forms.Form):
    """One of the four roles."""

    role = forms.ChoiceField(
        label=gettext_lazy("Role"), choices=ROLE_NAMES, widget=forms.RadioSelect
    )


class RoleForm(forms.Form):
    """One of the four roles, or none any more."""

    role = forms.ChoiceField(
        label=gettext_lazy("Role"),
        choices=[*ROLE_NAMES, ("", gettext_lazy("none: may not log in any more"))],
        widget=forms.RadioSelect,
        required=False,
    )


def index(request: StaffRequest) -> HttpResponse:
    """List staff with role and whether each has a second factor."""
    profiles = StaffProfile.objects.select_related("user").order_by("user__username")
    context = {
        "profiles": profiles,
        "with_factor": who_have_one(),
        "waiting": StaffLink.objects.filter(used_at=None, expires_at__gt=request.now).count(),
    }
    return render(request, "backoffice/people.html", context)


def invite(request: StaffRequest) -> HttpResponse:
    """Make a link with which one person joins in a role."""

    def act(typed: dict[str, Any]) -> HttpResponse:
        token = actions.create_staff_link(
            purpose=StaffLink.Purpose.INVITE,
            role=typed["role"],
            now=request.now,
            actor=request.staff.actor,
        )
        return _link_page(request, token, _("Link for a new member of staff"))

    return form_page(
        request,
        InviteForm(request.POST or None),
        title=_("Invite"),
        submit=_("Make link"),
        back=reverse("staff-people"),
        act=act,
        intro=_("The link works once, within a day. Hand it over in person or by a safe way."),
    )


def reset(request: StaffRequest, pk: int) -> HttpResponse:
    """Make a link with which one member of staff gets a new password and second factor."""
    user = get_object_or_404(User, pk=pk)

    def act(_typed: dict[str, Any]) -> HttpResponse:
        token = actions.create_staff_link(
            purpose=StaffLink.Purpose.RESET, user=user, now=request.now, actor=request.staff.actor
        )
        return _link_page(request, token, _("Link for %(name)s") % {"name": user.get_username()})

    return form_page(
        request,
        forms.Form(request.POST if request.method == "POST" else None),
        title=_("New log-in for %(name)s") % {"name": user.get_username()},
        submit=_("Make link"),
        back=reverse("staff-people"),
        act=act,
        intro=_("With it they choose a new password and set up their second factor anew."),
    )


def change_role(request: StaffRequest, pk: int) -> HttpResponse:
    """Give a member of staff another role, from their next click on."""
    user = get_object_or_404(User, pk=pk)
    profile = get_object_or_404(StaffProfile.objects.select_related("user"), user=user)

    def act(typed: dict[str, Any]) -> HttpResponse:
        set_role(user=profile.user, role=typed["role"], now=request.now, actor=request.staff.actor)
        return said(request, _("The role is changed."), "staff-people")

    return form_page(
        request,
        RoleForm(request.POST or None, initial={"role": profile.role * profile.user.is_active}),
        title=_("Role of %(name)s") % {"name": profile.user.get_username()},
        submit=_("Change role"),
        back=reverse("staff-people"),
        act=act,
    )


def _link_page(request: StaffRequest, token: str, title: str) -> HttpResponse:
    link = _address_here(request) + reverse("staff-link", args=[token])
    return render(request, "backoffice/link_made.html", {"link": link, "title": title})


def _address_here(request: StaffRequest) -> str:
    """Return under which address the shop is looked at, which may be another than the public one.

    Of the public one the settings know the scheme; behind a web server the request does not.
    """
    site: str = settings.FERRIAGE.site.url
    host = request.get_host()
    return site.rstrip("/") if host == urlsplit(site).netloc else f"{request.scheme}://{host}"
