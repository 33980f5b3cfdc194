"""What a shop needs before it can do business. Every row is computed; nobody ticks one."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.utils.translation import get_language, gettext_lazy, ngettext
from django.utils.translation import gettext as _

from ferriage.accounts.models import Account
from ferriage.approvals import reasons, site
from ferriage.approvals.models import Party
from ferriage.approvals.queries import load_register
from ferriage.devices.liveness import liveness
from ferriage.devices.models import Device
from ferriage.fleet.lookout import SILENT_AFTER
from ferriage.fleet.models import Gateway, Line
from ferriage.fleet.queries import line_facts
from ferriage.payments import queries
from ferriage.payments.models import Voucher
from ferriage.plans.models import Price
from ferriage.web.backoffice import agenda, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

MOST_REASONS = 3
MOST_MISSING = 6
"""Of one line: a line across a border that nothing was recorded for lacks five or six things."""


_MONEY: Final = {
    waiting.PAYMENTS: (gettext_lazy("Payments that wait for you"), gettext_lazy("Payments")),
    waiting.TRANSFERS: (gettext_lazy("Refunds to pay"), gettext_lazy("Bank transfers")),
    waiting.STATEMENTS: (gettext_lazy("Lines that wait for you"), gettext_lazy("Bank statements")),
}
"""Title of the row, and of the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing a shop needs: whether it is there, what was found, and the page for it.

    `command` is what to type where no page does it.
    """

    title: str
    done: bool
    detail: str
    url_name: str
    action: str
    command: str = ""


def rows(*, now: datetime) -> list[Row]:
    """Return the whole list in the order in which a newcomer works through it."""
    return [_seller(), _line(now), _prices(now), _paid(), _gateway(now), _own_device(now)]


def work(*, now: datetime, may: Callable[[str], bool] = bool) -> list[Row]:
    """Return what waits to be done, which is no step of setting up; no row when nothing does.

    Args:
        may: Tells by the name of a page whether the reader sees it; of all, where nobody asks.
    """
    money = waiting.counts(may)
    return [*_packs(), *_due(now), *(_money(name, count) for name, count in money.items())]


def _packs() -> list[Row]:
    """Return, before everything else, what waits for an owner's word; no row when nothing does."""
    told = _("%(place)s: what the newer version denies is held by itself from %(at)s UTC.")
    waits = [
        told % {"place": found.place, "at": f"{found.counts_at:%Y-%m-%d %H:%M}"}
        for found in site.waiting()
    ]
    if not waits:
        return []
    return [
        Row(
            title=_("Rule packs that wait for you"),
            done=False,
            detail="\n".join(waits),
            url_name="staff-packs",
            action=_("Rule packs"),
        )
    ]


def _due(now: datetime) -> list[Row]:
    """Return a row while the calendar holds something that nobody saw to."""
    titles = [row.title for row in agenda.rows(now=now) if row.entry.is_due]
    if not titles:
        return []
    return [
        Row(
            title=_("What is due"),
            done=False,
            detail="\n".join(_first(titles, MOST_REASONS)),
            url_name="staff-calendar",
            action=_("Calendar"),
        )
    ]


def _first(found: Sequence[str], most: int) -> list[str]:
    """Return the first ones, and how many more there are."""
    more = len(found) - most
    return [*found[:most], *([_("and %s more") % more] if more > 0 else [])]


def _money(name: str, count: int) -> Row:
    title, action = _MONEY[name]
    detail = waiting.said(name, count)
    if name == waiting.PAYMENTS:
        detail = ngettext(
            "%(n)s payment is disputed or came without an order.",
            "%(n)s payments are disputed or came without an order.",
            count,
        ) % {"n": count}
    return Row(title=str(title), done=False, detail=detail, url_name=name, action=str(action))


def _seller() -> Row:
    names = list(Party.objects.order_by("pk").values_list("name", flat=True)[:MOST_REASONS])
    return Row(
        title=_("A seller"),
        done=bool(names),
        detail=", ".join(names) or _("Record the legal person that sells. It may be you."),
        url_name="staff-parties",
        action=_("Parties"),
    )


def _line(now: datetime) -> Row:
    lines = list(
        Line.objects.exclude(state=Line.State.CLOSED).select_related("party").order_by("pk")
    )
    register = load_register()
    verdicts = [(line, register.judge(line=line_facts(line), at=now)) for line in lines]
    open_now = [
        line.name
        for line, verdict in verdicts
        if verdict.allowed and line.state == Line.State.IN_SERVICE
    ]
    if open_now:
        detail = _("Open: %s") % ", ".join(open_now)
    elif not lines:
        detail = _("Plan a line: where tunnels enter and where traffic leaves.")
    else:
        line, verdict = verdicts[0]
        packs, language = site.packs_in_force(), get_language() or "en"
        missing = [reasons.sentence(reason, language, packs) for reason in verdict.reasons]
        waits = _("allowed, and waits to be put in service")
        detail = f"{line.name}: " + ("\n".join(_first(missing, MOST_MISSING)) or waits)
    return Row(
        title=_("A line that the register allows"),
        done=bool(open_now),
        detail=detail,
        url_name="staff-lines",
        action=_("Lines"),
    )


def _prices(now: datetime) -> Row:
    current = Price.objects.filter(
        valid_from__lte=now,
        valid_to=None,
        plan__withdrawn_at=None,
        plan__offers__withdrawn_at=None,
        plan__offers__isnull=False,
    )
    count = current.distinct().count()
    return Row(
        title=_("Prices"),
        done=count > 0,
        detail=_("%s prices of plans that are offered on a line") % count
        if count
        else _("Create a plan, give it prices, offer it on a line."),
        url_name="staff-plans",
        action=_("Plans and prices"),
    )


def _paid() -> Row:
    ways = []
    if settings.FERRIAGE.shop.bank_details:
        ways.append(_("bank transfer"))
    unused = Voucher.objects.filter(used_at=None).count()
    ways += queries.takes_money()
    if unused:
        ways.append(_("vouchers (%s unused)") % unused)
    missing = _("Write shop.bank_details in the settings file, add a provider, or issue vouchers.")
    return Row(
        title=_("A way to be paid"),
        done=bool(ways),
        detail=", ".join(ways) or missing,
        url_name="staff-payments",
        action=_("Payments"),
    )


def _gateway(now: datetime) -> Row:
    gateways = Gateway.objects.exclude(state=Gateway.State.CLOSED)
    reporting = gateways.filter(last_seen_at__gt=now - SILENT_AFTER).order_by("name")
    seen = list(reporting.values_list("name", flat=True))
    silent = _("No gateway has reported within the last minute.")
    none = _("Add a gateway and run the agent on its host.")
    return Row(
        title=_("A gateway that reports"),
        done=bool(seen),
        detail=", ".join(seen) or (silent if gateways.exists() else none),
        url_name="staff-gateways",
        action=_("Gateways"),
    )


def _own_device(now: datetime) -> Row:
    own = list(
        Device.objects.filter(
            subscription__account__account_class=Account.Class.OWN_STAFF, removed_at=None
        )
    )
    live = liveness(own, now=now)
    connected = [device.name for device in own if live[device.code].on]
    waits = _("Added; no gateway has taken it up yet.")
    none = _("On the shop's machine:")
    typed = f"ferriage --config {shlex.quote(str(settings.FERRIAGE.path))} device add NAME --mine"
    return Row(
        title=_("Your own device, on a gateway"),
        done=bool(connected),
        detail=", ".join(connected) or (waits if own else none),
        url_name="staff-customers",
        action=_("Customers"),
        command="" if own else typed,
    )
