"""What gateways know of a history that a restored backup has forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ferriage.fleet import actions
from ferriage.fleet.models import Gateway
from ferriage.web.backoffice import forgotten
from ferriage.web.backoffice.fields import row
from ferriage.web.backoffice.pages import form_page, said
from ferriage.web.backoffice.views.gateways import RemovalsForm

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest


def returns(request: StaffRequest, code: str, pool: str) -> HttpResponse:
    """Let devices on again that were removed or held since the backup, after saying how many."""
    found = row(Gateway, code)
    member = get_object_or_404(
        found.memberships.select_related("pool__line"), pool__code=pool, waiting__gt=0
    )

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.allow_return(
            member=member, digest=typed["digest"], now=request.now, actor=request.staff.actor
        )
        return said(request, _("Allowed. They pass again within seconds."), "staff-gateway", code)

    return form_page(
        request,
        RemovalsForm(request.POST or None, initial={"digest": member.waiting_digest}),
        title=ngettext(
            "%(gateway)s keeps one device off on %(line)s",
            "%(gateway)s keeps %(count)s devices off on %(line)s",
            member.waiting,
        )
        % {"gateway": found.name, "count": member.waiting, "line": member.pool.line.name},
        submit=_("Allow: let them on"),
        back=reverse("staff-gateway", args=[code]),
        act=act,
        intro=_(
            "Staff removed or held them after the backup was made that the shop now runs on, so "
            "its records take them for open. Remove first those that must stay off, then let the "
            "others on."
        ),
        template="backoffice/returns.html",
        off=[row for known in forgotten.of([member]) for row in known.off],
    )
