"""Gateways: added with a one-time token, looked after, closed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ferriage.devices.stranded import concerned
from ferriage.fleet import actions, newcomer
from ferriage.fleet.alarming import open_alarms, open_alarms_of
from ferriage.fleet.bundle import NoBundle, OnlyHere, block
from ferriage.fleet.lookout import healths, is_silent
from ferriage.fleet.models import Gateway, Line, PoolGateway
from ferriage.fleet.queries import lines_to_serve, ports_of
from ferriage.fleet.site import reached_beside_only
from ferriage.web.backoffice import forgotten
from ferriage.web.backoffice import newcomer as words
from ferriage.web.backoffice.fields import PlaceField, row
from ferriage.web.backoffice.pages import form_page, said

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.http import HttpResponse

    from ferriage.fleet.lookout import Health
    from ferriage.fleet.models import Alarm
    from ferriage.web.backoffice.access import StaffRequest

PER_PAGE = 50
_LOOK_AGAIN: Final = "5"
"""Seconds after which the page of a new gateway loads itself again, with scripts or without."""


class GatewayForm(forms.Form):
    """A host that is to become a gateway. What it asks, `ferriage gateway add` asks too."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=60)
    place = PlaceField(label=gettext_lazy("Where the host stands"))
    line = forms.ModelChoiceField(
        Line.objects.none(),
        label=gettext_lazy("Line that it serves"),
        required=False,
        empty_label=gettext_lazy("none yet"),
        help_text=gettext_lazy(
            "One that enters where the host stands. Without one it serves nothing until it is "
            "given a line, on its page under “Serve a line”."
        ),
    )
    endpoint_host = forms.CharField(
        label=gettext_lazy("Its public name or address"),
        max_length=255,
        required=False,
        help_text=gettext_lazy(
            "Where customers' tunnels go to. Left empty, it is the address with which the host "
            "reaches the internet."
        ),
    )
    endpoint_port = forms.IntegerField(
        label=gettext_lazy("First UDP port"), min_value=1, max_value=65535, initial=51820
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["line"].queryset = lines_to_serve()  # type: ignore[attr-defined]
        self.fields["line"].label_from_instance = _with_place  # type: ignore[attr-defined]


def _with_place(line: Line) -> str:
    """Return a line's name and the place that decides which gateways may serve it."""
    return _("%(line)s, enters in %(place)s") % {"line": line.name, "place": line.enter_place}


class EndpointForm(forms.Form):
    """Where customers' tunnels reach a gateway."""

    host = forms.CharField(label=gettext_lazy("Its public name or address"), max_length=255)
    port = forms.IntegerField(label=gettext_lazy("First UDP port"), min_value=1, max_value=65535)


class AssignForm(forms.Form):
    """The line that a gateway is to serve."""

    line = forms.ModelChoiceField(Line.objects.none(), label=gettext_lazy("Line"))

    def __init__(self, *args: Any, place: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["line"].queryset = lines_to_serve(place)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRow:
    """One gateway as the list shows it."""

    gateway: Gateway
    silent: bool
    healths: list[Health]
    alarms: list[Alarm]


def index(request: StaffRequest) -> HttpResponse:
    """List gateways, those with an alarm first, with how far each of their pools is."""
    alarm = open_alarms().filter(subject=OuterRef("code")).order_by()
    rows = Gateway.objects.annotate(troubled=Exists(alarm)).order_by("-troubled", "name")
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "rows": _fleet(list(page), request.now)}
    return render(request, "backoffice/gateways.html", context)


def _fleet(found: list[Gateway], now: datetime) -> list[FleetRow]:
    """Return rows for gateways, with three queries however many they are."""
    alarms = open_alarms_of([gateway.code for gateway in found])
    by_gateway: dict[int, list[Health]] = defaultdict(list)
    members = PoolGateway.objects.filter(gateway__in=found).order_by("interface")
    for health in healths(members, now=now):
        by_gateway[health.member.gateway_id].append(health)
    return [
        FleetRow(
            gateway=gateway,
            silent=is_silent(gateway, now),
            healths=by_gateway[gateway.pk],
            alarms=alarms.get(gateway.code, []),
        )
        for gateway in found
    ]


def gateway(request: StaffRequest, code: str) -> HttpResponse:
    """Show one gateway and how far each of its pools is."""
    found = row(Gateway, code)
    members = list(found.memberships.select_related("pool__line").order_by("interface"))
    (shown,) = _fleet([found], request.now)
    context = {
        **_newcomer(found, members, request.now),
        "gateway": found,
        "silent": shown.silent,
        "healths": shown.healths,
        "alarms": shown.alarms,
        "pools": [(member, _lag([member])) for member in members],
        "ports": ports_of(found),
        "since": forgotten.of(members),
    }
    response = render(request, "backoffice/gateway.html", context)
    if context["newcomer_ticks"]:
        response["Refresh"] = _LOOK_AGAIN
    return response


def _newcomer(found: Gateway, members: list[PoolGateway], now: datetime) -> dict[str, Any]:
    steps = newcomer.steps(found, members)
    right = sum(step.state == "ok" for step in steps)
    handshake = next(step for step in steps if step.slug == "handshake")
    return {
        "handshake_seen": handshake.state == "ok",
        "newcomer": words.rows(steps, found.endpoint_port),
        "newcomer_right": right,
        "newcomer_wants": right < len(steps),
        "newcomer_ticks": newcomer.ticks(found, steps, now),
    }


def new(request: StaffRequest) -> HttpResponse:
    """Add a gateway; its one-time token is in the answer and nowhere else."""

    def act(typed: dict[str, Any]) -> HttpResponse:
        made = actions.create_gateway(**typed, now=request.now, actor=request.staff.actor)
        return _token_page(request, made.gateway, made.token)

    return form_page(
        request,
        GatewayForm(request.POST or None),
        title=_("New gateway"),
        submit=_("Add gateway"),
        back=reverse("staff-gateways"),
        act=act,
        intro=_("You get a token for the host. It works once, within the hour."),
    )


def new_token(request: StaffRequest, code: str) -> HttpResponse:
    """Make another one-time token; it is in the answer and nowhere else."""
    found = row(Gateway, code)
    token = actions.new_enrol_token(gateway=found, now=request.now, actor=request.staff.actor)
    return _token_page(request, found, token)


def assign(request: StaffRequest, code: str) -> HttpResponse:
    """Let a gateway serve a line."""
    found = row(Gateway, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.assign(
            gateway=found, line=typed["line"], now=request.now, actor=request.staff.actor
        )
        return said(request, _("The gateway serves the line."), "staff-gateway", code)

    return form_page(
        request,
        AssignForm(request.POST or None, place=found.place),
        title=_("Serve a line from %(gateway)s") % {"gateway": found.name},
        submit=_("Assign"),
        back=reverse("staff-gateway", args=[code]),
        act=act,
        intro=_(
            "Only lines that enter where this host stands, in %(place)s, can be chosen. A new one "
            "is made under Lines."
        )
        % {"place": found.place},
    )


def endpoint(request: StaffRequest, code: str) -> HttpResponse:
    """Change where customers' tunnels reach a gateway."""
    found = row(Gateway, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.set_endpoint(gateway=found, **typed, now=request.now, actor=request.staff.actor)
        return said(request, _("The address is changed."), "staff-gateway", code)

    return form_page(
        request,
        EndpointForm(
            request.POST or None,
            initial={"host": found.endpoint_host, "port": found.endpoint_port},
        ),
        title=_("Address of %(gateway)s") % {"gateway": found.name},
        submit=_("Change the address"),
        back=reverse("staff-gateway", args=[code]),
        act=act,
        intro=_(
            "Files that were handed out name the old address. Each of these devices is added "
            "anew, or its owner changes the line Endpoint in the file."
        ),
    )


def close(request: StaffRequest, code: str) -> HttpResponse:
    """Close a gateway for good, after asking once more."""
    found = row(Gateway, code)

    def act(_typed: dict[str, Any]) -> HttpResponse:
        actions.close_gateway(gateway=found, now=request.now, actor=request.staff.actor)
        return said(request, _("The gateway is closed."), "staff-gateway", code)

    return form_page(
        request,
        forms.Form(request.POST if request.method == "POST" else None),
        title=_("Close %(gateway)s") % {"gateway": found.name},
        submit=_("Close this gateway for good"),
        back=reverse("staff-gateway", args=[code]),
        act=act,
        intro=_("Its key opens nothing any more. A new gateway can be made on the same host."),
        template="backoffice/gateway_leaves.html",
        concerned=concerned(gateway=found),
    )


def drain(request: StaffRequest, code: str) -> HttpResponse:
    """Offer a gateway in no new file, after asking once more."""
    found = row(Gateway, code)

    def act(_typed: dict[str, Any]) -> HttpResponse:
        actions.drain_gateway(gateway=found, now=request.now, actor=request.staff.actor)
        return said(request, _("No new file names the gateway."), "staff-gateway", code)

    return form_page(
        request,
        forms.Form(request.POST if request.method == "POST" else None),
        title=_("Drain %(gateway)s") % {"gateway": found.name},
        submit=_("Offer it in no new file"),
        back=reverse("staff-gateway", args=[code]),
        act=act,
        intro=_("Devices whose file names it go on until you close it."),
    )


class RemovalsForm(forms.Form):
    """Which devices a person was shown, by their digest."""

    digest = forms.CharField(max_length=64, widget=forms.HiddenInput)


def removals(request: StaffRequest, code: str, pool: str) -> HttpResponse:
    """Let devices go that a snapshot did not name, after saying how many that are."""
    found = row(Gateway, code)
    member = get_object_or_404(
        found.memberships.select_related("pool__line"), pool__code=pool, deferred__gt=0
    )

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.allow_removals(
            member=member, digest=typed["digest"], now=request.now, actor=request.staff.actor
        )
        return said(
            request, _("Allowed. The gateway removes them within seconds."), "staff-gateway", code
        )

    return form_page(
        request,
        RemovalsForm(request.POST or None, initial={"digest": member.deferred_digest}),
        title=ngettext(
            "%(gateway)s would drop one device on %(line)s",
            "%(gateway)s would drop %(count)s devices on %(line)s",
            member.deferred,
        )
        % {"gateway": found.name, "count": member.deferred, "line": member.pool.line.name},
        submit=_("Allow: drop them"),
        back=reverse("staff-gateway", args=[code]),
        act=act,
        intro=_(
            "The shop's records do not name these devices any more, and nobody deleted them. That "
            "happens after an old backup was restored. Until you allow it they stay on, at most "
            "to the end of what was paid. Look first whether sales are missing in the records."
        ),
    )


def _lag(members: Iterable[PoolGateway]) -> int:
    """Return how many changes of its pools a gateway has not applied yet."""
    return sum(max(0, member.pool.revision - member.applied_rev) for member in members)


def _token_page(request: StaffRequest, found: Gateway, token: str) -> HttpResponse:
    pasted, only_here = "", None
    try:
        pasted = block(token)
    except NoBundle:  # set up from a wheel alone: the host gets the agent another way
        pass
    except OnlyHere as refusal:
        only_here = refusal
    context = {
        "gateway": found,
        "token": token,
        "paste": pasted,
        "only_here": only_here,
        "concerned": concerned(gateway=found),
        "ports": ports_of(found),
        "strands": bool(pasted) and reached_beside_only(),
        "serves": found.memberships.exclude(pool__line__state=Line.State.CLOSED).exists(),
    }
    return render(request, "backoffice/token.html", context)
