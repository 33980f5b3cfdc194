"""Template tags of the back office: `{% load backoffice %}`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django import template
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from ferriage.core.lengths import lasting
from ferriage.core.money import Money
from ferriage.fleet import alarmwords, warningwords
from ferriage.fleet.alarming import open_alarms
from ferriage.web.backoffice import waiting
from ferriage.web.backoffice.needed import question_text

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.approvals.facts import Question

register = template.Library()
register.filter("alarm_title", alarmwords.title)
register.filter("alarm_said", alarmwords.said)
register.filter("alarm_remedy", alarmwords.remedy)
register.filter("warning_said", warningwords.said)
register.filter(lasting)

_ALARMS: Final = "staff-alarms"
NAVIGATION: Final = (
    (
        "",
        (("staff-start", _("Start")),),
    ),
    (
        _("Shop"),
        (
            ("staff-customers", _("Customers")),
            ("staff-closed", _("Closed services")),
            ("staff-orders", _("Orders")),
            (waiting.PAYMENTS, _("Payments")),
            (waiting.TRANSFERS, _("Bank transfers")),
            (waiting.STATEMENTS, _("Bank statements")),
            ("staff-vouchers", _("Vouchers")),
            ("staff-coupons", _("Coupons")),
            ("staff-resellers", _("Resellers")),
            ("staff-plans", _("Plans and prices")),
            ("staff-income", _("Income")),
            ("staff-ledger", _("Books")),
            ("staff-partners", _("Partners")),
            ("staff-tax", _("Tax and invoices")),
        ),
    ),
    (
        _("Network"),
        (
            ("staff-lines", _("Lines")),
            ("staff-gateways", _("Gateways")),
            (_ALARMS, _("Alarms")),
        ),
    ),
    (
        _("Register"),
        (
            ("staff-needs", _("What do I need?")),
            ("staff-calendar", _("Calendar")),
            ("staff-approvals", _("Approvals")),
            ("staff-determinations", _("Determinations")),
            ("staff-parties", _("Parties")),
            ("staff-packs", _("Rule packs")),
            ("staff-clock", _("Clock")),
            ("staff-reports", _("Reports")),
        ),
    ),
    (
        _("House"),
        (
            ("staff-people", _("Staff")),
            ("staff-audit", _("Audit log")),
        ),
    ),
)


@register.simple_tag(takes_context=True)
def open_alarm_count(context: dict[str, Any]) -> int:
    """Return how many alarms are open; none for a role that may not see them."""
    staff = getattr(context["request"], "staff", None)
    return open_alarms().count() if staff is not None and staff.may(_ALARMS) else 0


@register.simple_tag(takes_context=True)
def waiting_work(context: dict[str, Any]) -> dict[str, int]:
    """Return how much waits for staff by the name of its page; none that a role may not see."""
    staff = getattr(context["request"], "staff", None)
    return waiting.counts(staff.may) if staff is not None else {}


@register.inclusion_tag("backoffice/navigation.html", takes_context=True)
def navigation(
    context: dict[str, Any], label: str, alarms: int, work: dict[str, int]
) -> dict[str, object]:
    """Render the links that the reader's role may follow, in groups; nothing before log-in.

    Args:
        alarms: How many are open, to stand beside their link.
        work: How much waits, by the name of the page to stand beside.
    """
    request = context["request"]
    staff = getattr(request, "staff", None)
    groups = [
        (title, [_link(request.path, name, text) for name, text in links if staff.may(name)])
        for title, links in NAVIGATION
        if staff is not None
    ]
    shown = [group for group in groups if group[1]]
    tables = staff is not None and staff.may("staff-audit")
    alarms_url = reverse(_ALARMS)
    return {
        "groups": shown,
        "label": label,
        "tables": tables,
        "alarms": alarms,
        "alarms_url": alarms_url,
        "work": [(reverse(name), n, waiting.said(name, n)) for name, n in work.items()],
    }


@register.filter
def money(amount_minor: int | None, currency: str) -> str:
    """Return minor units as an amount with its currency; nothing for nothing."""
    return "" if amount_minor is None else _with_minus(str(Money(amount_minor, currency)))


@register.filter
def minus(amount_minor: int, currency: str) -> str:
    """Return what is taken off, below zero unless it is nothing."""
    return money(-amount_minor, currency)


@register.filter
def bare_amount(amount_minor: int | None, currency: str) -> str:
    """Return minor units as an amount whose currency stands above; nothing for nothing."""
    return "" if amount_minor is None else _with_minus(Money(amount_minor, currency).decimal())


def _with_minus(amount: str) -> str:
    """Return an amount with the sign that print has for it: files keep the hyphen."""
    return amount.replace("-", "−")


@register.filter
def percent(share_bps: int) -> str:
    """Return hundredths of a percent as a percentage, such as `33.34 %`."""
    return f"{share_bps // 100}.{share_bps % 100:02} %"


@register.filter
def instant(at: datetime | None) -> str:
    """Return an instant in UTC to the second; a dash for never."""
    return "–" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


@register.filter
def last_day(ends_at: datetime | None) -> str:
    """Return the last day before an instant that is a midnight of UTC; a dash for never."""
    return "–" if ends_at is None else f"{ends_at - timedelta(seconds=1):%Y-%m-%d}"


@register.filter
def month_name(year: int, number: int) -> str:
    """Return a month as the year and its number, such as `2026-03`."""
    return f"{year}-{number:02}"


@register.filter
def asked(question: Question) -> str:
    """Return a question that the law is asked, in words."""
    return question_text(question)


@register.simple_tag(takes_context=True)
def may(context: dict[str, Any], url_name: str) -> bool:
    """Tell whether the reader's role may use a page: `{% may "staff-line" as can_look %}`."""
    allowed: bool = context["request"].staff.may(url_name)
    return allowed


def _link(path: str, url_name: str, text: object) -> tuple[str, object, str]:
    """Return address, text and the value of `aria-current`: the page itself, or one below it."""
    url = reverse(url_name)
    if path == url:
        return url, text, "page"
    below = url_name != "staff-start" and path.startswith(url)
    return url, text, "true" if below else ""


@register.inclusion_tag("backoffice/link.html", takes_context=True)
def page(
    context: dict[str, Any], url_name: str, *args: object, label: str = "", kind: str = ""
) -> dict[str, object]:
    """Render a link to a page, or its label alone for a role that may not see it."""
    staff = context["request"].staff
    url = reverse(url_name, args=args) if staff.may(url_name) else ""
    return {"url": url, "label": label, "kind": kind}


@register.inclusion_tag("backoffice/button.html", takes_context=True)
def button(
    context: dict[str, Any], url_name: str, *args: object, label: str, kind: str = ""
) -> dict[str, object]:
    """Render a form of one button, or nothing for a role that may not press it."""
    staff = context["request"].staff
    url = reverse(url_name, args=args) if staff.may(url_name) else ""
    return {"url": url, "label": label, "kind": kind, "csrf_token": context.get("csrf_token")}
