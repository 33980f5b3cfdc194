"""Pools: how many devices they hold, and gateways that come back to them or leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.devices.stranded import concerned
from ferriage.fleet import actions
from ferriage.fleet.models import Gateway, Line
from ferriage.web.backoffice.fields import row
from ferriage.web.backoffice.pages import form_page, said

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest


class SizeForm(forms.Form):
    """How many devices one pool of a line may hold."""

    limit = forms.IntegerField(label=gettext_lazy("Devices in each pool"), min_value=1)


def size(request: StaffRequest, code: str) -> HttpResponse:
    """Say how many devices each pool of a line holds before one more is opened."""
    found = row(Line, code)
    last = found.pools.order_by("-pk")[0]

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.set_size_limit(
            line=found, limit=typed["limit"], now=request.now, actor=request.staff.actor
        )
        return said(request, _("The size is changed."), "staff-line", code)

    return form_page(
        request,
        SizeForm(request.POST or None, initial={"limit": last.size_limit}),
        title=_("Room for devices on %(line)s") % {"line": found.name},
        submit=_("Change the size"),
        back=reverse("staff-line", args=[code]),
        act=act,
        intro=_(
            "Each pool is one tunnel interface on every gateway of the line. WireGuard in a "
            "program takes at most 65,535 devices there, so 60,000 leaves room to breathe; the "
            "kernel's own takes 1,048,576. Devices stay in the pool that they are in."
        ),
    )


def undrain(request: StaffRequest, code: str) -> HttpResponse:
    """Offer a gateway in new files again."""
    found = row(Gateway, code)
    actions.undrain_gateway(gateway=found, now=request.now, actor=request.staff.actor)
    return said(request, _("New files name the gateway again."), "staff-gateway", code)


def unassign(request: StaffRequest, code: str, line: str) -> HttpResponse:
    """Take a gateway off a line, after asking once more."""
    found, left = row(Gateway, code), row(Line, line)

    def act(_typed: dict[str, Any]) -> HttpResponse:
        actions.unassign(gateway=found, line=left, now=request.now, actor=request.staff.actor)
        return said(request, _("The gateway serves the line no more."), "staff-gateway", code)

    return form_page(
        request,
        forms.Form(request.POST if request.method == "POST" else None),
        title=_("Take %(gateway)s off %(line)s") % {"gateway": found.name, "line": left.name},
        submit=_("Take it off the line"),
        back=reverse("staff-gateway", args=[code]),
        act=act,
        intro=_(
            "Files that name this gateway for this line stop working within seconds. Devices "
            "whose file names another gateway notice nothing."
        ),
        template="backoffice/gateway_leaves.html",
        concerned=concerned(gateway=found, line=left),
    )
