"""Template tags that every page may use: `{% load shared %}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from django import template
from django.conf import settings
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from ferriage.approvals import reasons
from ferriage.approvals.site import packs_on_file
from ferriage.core.codes import grouped
from ferriage.core.money import Money
from ferriage.payments.queries import in_test_mode
from ferriage.web.shared.words import reason
from ferriage.web.shared.words import size as byte_size

if TYPE_CHECKING:
    from datetime import date, datetime

    from django.http import HttpRequest

    from ferriage.orders.models import Order
    from ferriage.plans.models import Plan, Subscription

register = template.Library()

# The script subtag as browsers and screen readers expect it: zh-Hans, not zh-hans.
_TAGS = {"zh-hans": "zh-Hans"}


@register.simple_tag
def shop_name() -> str:
    """Return the shop's name."""
    name: str = settings.FERRIAGE.site.name
    return name


@register.simple_tag
def test_providers() -> str:
    """Return the names of the ways to pay that move no real money; empty where there are none."""
    return ", ".join(in_test_mode())


@register.simple_tag(takes_context=True)
def here(context: dict[str, Any]) -> str:
    """Return where to come back to after a change of language.

    The answer to a form has no address of its own: then it is the page that the form was on.
    """
    request = context.get("request")
    if request is None:
        return "/"
    if request.method != "GET":
        return _page_before(request)
    path: str = request.get_full_path()
    return path


def _page_before(request: HttpRequest) -> str:
    """Return the page of ours that a browser says to come from; the first page without one."""
    before = request.headers.get("Referer", "")
    ours = {request.get_host()}
    if not before or not url_has_allowed_host_and_scheme(before, ours, request.is_secure()):
        return "/"
    found = urlsplit(before)
    # Two slashes at the beginning would name another host.
    return urlunsplit(("", "", f"/{found.path.lstrip('/')}", found.query, ""))


@register.filter
def language_tag(code: str) -> str:
    """Return a language's code as the `lang` attribute wants it."""
    return _TAGS.get(code, code)


@register.filter
def price(money: Money) -> str:
    """Return an amount with its currency, without decimals that are all zero."""
    decimal = money.decimal()
    whole, _point, decimals = decimal.partition(".")
    return f"{whole if not decimals.strip('0') else decimal} {money.currency}"


@register.filter
def amount(row: Any) -> Money:
    """Return the money of an order, a payment or a refund."""
    return Money(row.amount_minor, row.currency)


@register.filter
def received(row: Any) -> Money:
    """Return the money that came by a payment."""
    return Money(row.received_minor or 0, row.currency)


@register.filter
def value(order: Order) -> str:
    """Return what the time that is left pays of a change of plan."""
    return price(Money(order.value_minor, order.currency))


@register.filter
def minor(amount_minor: int, currency: str) -> Money:
    """Return minor units as money."""
    return Money(amount_minor, currency)


@register.filter
def percent(bps: int) -> str:
    """Return basis points as a percentage without useless zeros."""
    return f"{bps / 100:.2f}".rstrip("0").rstrip(".") + " %"


@register.simple_tag
def refund_days() -> int:
    """Return for how many days the shop refunds the whole price."""
    days: int = settings.FERRIAGE.shop.refund_days
    return days


@register.filter
def groups(code: str) -> str:
    """Return a number or reference in groups of four."""
    return grouped(code)


@register.filter
def place(code: str) -> str:
    """Return a place's name in the reader's language, with its code."""
    return reasons.place_name(code, get_language() or "en", packs_on_file())


@register.filter
def why(refusal: Any) -> list[str]:
    """Return the register's reasons that a refusal carries, as sentences with their clauses."""
    verdict = getattr(refusal, "verdict", None)
    if verdict is None:
        return []
    language = get_language() or "en"
    return [reasons.sentence(found, language, packs_on_file()) for found in verdict.reasons]


@register.filter
def in_words(slug: str) -> str:
    """Return a room's reason in words."""
    return reason(slug)


@register.filter
def sold_as(plan: Plan) -> str:
    """Return service and plan, once where both have one name."""
    service = plan.service.name
    return service if plan.name == service else f"{service} · {plan.name}"


@register.filter
def named(subscription: Subscription) -> str:
    """Return what a subscription is called: its plan, and what tells it from others of it."""
    sold = sold_as(subscription.plan)
    if subscription.label:
        return f"{sold} · {subscription.label}"
    return f"{sold} · {_('no.')} {subscription.number}" if subscription.number > 1 else sold


@register.filter
def bought(order: Order) -> str:
    """Return what an order buys, in words."""
    if order.plan is None:
        return _("Top-up of the balance")
    sold = sold_as(order.plan)
    if order.kind == order.Kind.ADDON:
        return f"{sold} · {added(order)}"
    text = f"{sold} · {months(order.term_months)}"
    if order.kind == order.Kind.GIFT:
        return _("Gift code: %(term)s") % {"term": text}
    return _("Gift to a number: %(term)s") % {"term": text} if order.recipient_id else text


@register.filter
def added(order: Order) -> str:
    """Return what an add-on adds, in words."""
    if order.is_pack and order.quota_bytes:
        return _("%(size)s more data") % {"size": byte_size(order.quota_bytes)}
    return _("place for one more device")


@register.filter
def size(count: int) -> str:
    """Return a number of bytes in the largest decimal unit, with at most one decimal."""
    return byte_size(count)


@register.filter
def day(value: date | None) -> str:
    """Return a calendar day in the one form that everybody reads alike."""
    return "–" if value is None else f"{value:%Y-%m-%d}"


@register.simple_tag
def instant(at: datetime | None) -> SafeString:
    """Return an instant in UTC; where scripts run, in the reader's own time with its offset."""
    if at is None:
        return SafeString("–")
    return format_html(
        '<time datetime="{}" data-local>{} UTC</time>',
        f"{at:%Y-%m-%dT%H:%M:%SZ}",
        f"{at:%Y-%m-%d %H:%M}",
    )


@register.filter
def months(count: int) -> str:
    """Return a term in words."""
    if count == 1:
        return _("1 month")
    return _("%(count)s months") % {"count": count}
