"""What can be sold: services, plans, prices, offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import IntegrityError
from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.models import SiteState
from ferriage.core.money import is_currency
from ferriage.plans import inner, queries, terms
from ferriage.plans.actions import limits
from ferriage.plans.actions.plain import CatalogueWrong, change_once
from ferriage.plans.models import Offer, Plan, Price, Service

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from ferriage.core.actors import Actor
    from ferriage.core.money import Money
    from ferriage.fleet.models import Line


def create_service(
    *, slug: str, name: str, now: datetime, actor: Actor, description: str = ""
) -> Service:
    """Add a service.

    Raises:
        CatalogueWrong: No name, or its short name is taken.
    """
    if not name.strip() or not slug.strip():
        raise CatalogueWrong(_("A service needs a name and a short name."))
    try:
        with writing():
            position = Service.objects.count()
            service = Service.objects.create(
                slug=slug, name=name, description=description, position=position
            )
            audit.record(
                now=now, actor=actor, action="service.created", subject=service.code, name=name
            )
    except IntegrityError as error:
        raise CatalogueWrong(
            _("There is a service with the short name %(slug)s.") % {"slug": slug},
            _("Choose another short name."),
        ) from error
    return service


def describe_service(
    *, service: Service, name: str, description: str, now: datetime, actor: Actor
) -> Service:
    """Say otherwise what a service is called and what it is; its short name stays.

    Raises:
        CatalogueWrong: No name.
    """
    if not name.strip():
        raise CatalogueWrong(_("A service needs a name."))
    with writing():
        Service.objects.filter(pk=service.pk).update(name=name.strip(), description=description)
        service.refresh_from_db()
        audit.record(
            now=now, actor=actor, action="service.described", subject=service.code, name=name
        )
    return service


def create_plan(  # noqa: PLR0913 -- what a plan is made of
    *,
    service: Service,
    name: str,
    now: datetime,
    actor: Actor,
    device_limit: int = 5,
    rate_down_bps: int = 100_000_000,
    rate_up_bps: int = 100_000_000,
    quota_bytes: int | None = None,
    routes: Sequence[str] = (),
) -> Plan:
    """Add a plan to a service.

    Args:
        quota_bytes: What its devices may use in a month, both ways together; None is any number.
        routes: Inner networks that its devices reach instead of the internet.

    Raises:
        CatalogueWrong: No name, no device, a speed below 8 kbit/s, a quota below 1 MB, or networks
            as `set_routes`.
    """
    if not name.strip() or device_limit < 1:
        raise CatalogueWrong(_("A plan needs a name and at least one device."))
    limits.check(rate_down_bps, rate_up_bps, quota_bytes)
    _check_routes(routes)
    with writing():
        plan = Plan.objects.create(
            service=service,
            name=name,
            device_limit=device_limit,
            rate_down_bps=rate_down_bps,
            rate_up_bps=rate_up_bps,
            quota_bytes=quota_bytes,
            routes=list(routes),
        )
        audit.record(now=now, actor=actor, action="plan.created", subject=plan.code, name=name)
    return plan


def rename_plan(*, plan: Plan, name: str, now: datetime, actor: Actor) -> Plan:
    """Call a plan otherwise, for everybody who sees it from now on.

    Raises:
        CatalogueWrong: No name.
    """
    if not name.strip():
        raise CatalogueWrong(_("A plan needs a name."))
    with writing():
        Plan.objects.filter(pk=plan.pk).update(name=name.strip())
        plan.name = name.strip()
        audit.record(now=now, actor=actor, action="plan.renamed", subject=plan.code, name=name)
    return plan


def set_routes(*, plan: Plan, routes: Sequence[str], now: datetime, actor: Actor) -> Plan:
    """Let a plan's devices reach these inner networks and nothing else; none: the internet.

    The caller tells the gateways.

    Raises:
        CatalogueWrong: A network no gateway could let through, or a plan for the public.
    """
    _check_routes(routes)
    with writing():
        if routes and any(line.customer_class == "public" for line in queries.lines_of(plan)):
            raise _inner_for_public()
        Plan.objects.filter(pk=plan.pk).update(routes=list(routes))
        plan.routes = list(routes)
        audit.record(
            now=now, actor=actor, action="plan.routes_set", subject=plan.code, routes=list(routes)
        )
    return plan


def end_in_force(current: QuerySet[Any], *, now: datetime) -> None:
    """End the price that holds, in the transaction that puts another in its place.

    Raises:
        CatalogueWrong: It begins later than now.
    """
    if current.filter(valid_from__gt=now).exists():
        raise CatalogueWrong(
            _("The price in force begins later than this machine's clock says it is."),
            _("Set the clock right, then repeat it."),
        )
    current.update(valid_to=now)


def set_price(*, plan: Plan, term_months: int, money: Money, now: datetime, actor: Actor) -> Price:
    """Put a price on a term from now on; the one before keeps its dates and its orders.

    Raises:
        CatalogueWrong: A term that is not sold, an amount below zero, a currency that nobody has, a
            clock that stands before the price in force, or a plan for own staff, which costs
            nothing.
    """
    if term_months not in terms.TERMS or money.amount_minor < 0:
        raise CatalogueWrong(_("Prices are for 1, 6, 12 or 24 months and not below zero."))
    if not is_currency(money.currency):
        raise CatalogueWrong(
            _("%(code)s is no currency.") % {"code": money.currency},
            _("Use a code of ISO 4217 such as CNY, EUR or SEK."),
        )
    with writing():
        if money.amount_minor and queries.is_for_own_staff(plan):
            raise _own_staff_free()
        current = Price.objects.filter(
            plan=plan, term_months=term_months, currency=money.currency, valid_to__isnull=True
        )
        end_in_force(current, now=now)
        price = Price.objects.create(
            plan=plan,
            term_months=term_months,
            amount_minor=money.amount_minor,
            currency=money.currency,
            valid_from=now,
        )
        audit.record(
            now=now,
            actor=actor,
            action="price.set",
            subject=price.code,
            plan=plan.code,
            term_months=term_months,
            price=str(money),
        )
    return price


def end_price(*, price: Price, now: datetime, actor: Actor) -> Price:
    """Sell a term at this price no more; orders that were placed keep it.

    Raises:
        StaleState: It ended before.
    """
    with writing():
        in_force = Price.objects.filter(pk=price.pk, valid_to=None, valid_from__lte=now)
        change_once(in_force.update(valid_to=now))
        price.valid_to = now
        audit.record(
            now=now, actor=actor, action="price.ended", subject=price.code, plan=price.plan.code
        )
    return price


def add_offer(*, plan: Plan, line: Line, now: datetime, actor: Actor) -> Offer:
    """Offer a plan on a line; whether it is on sale is judged each time it is shown.

    Raises:
        CatalogueWrong: The plan's other lines are for another class of customers; it costs
            something, on a line for own staff; it lists inner networks, on one for the public.
    """
    with writing():
        if any(other.customer_class != line.customer_class for other in queries.lines_of(plan)):
            raise CatalogueWrong(
                _("The lines of one plan are for one class of customers."),
                _("Make a plan of its own for this line."),
            )
        if line.customer_class == "own_staff" and _costs_something(plan):
            raise _own_staff_free()
        if line.customer_class == "public" and plan.routes:
            raise _inner_for_public()
        offer, _created = Offer.objects.update_or_create(
            plan=plan, line=line, defaults={"withdrawn_at": None}
        )
        audit.record(now=now, actor=actor, action="offer.added", subject=plan.code, line=line.code)
    return offer


def withdraw_offer(*, offer: Offer, now: datetime, actor: Actor) -> Offer:
    """Take a plan off a line for good.

    Raises:
        StaleState: It was withdrawn before.
    """
    with writing():
        change_once(Offer.objects.filter(pk=offer.pk, withdrawn_at=None).update(withdrawn_at=now))
        offer.withdrawn_at = now
        audit.record(
            now=now,
            actor=actor,
            action="offer.withdrawn",
            subject=offer.plan.code,
            line=offer.line.code,
        )
    return offer


def withdraw_plan(*, plan: Plan, now: datetime, actor: Actor) -> Plan:
    """Sell a plan no more; who holds it keeps it to the end.

    Raises:
        StaleState: It was withdrawn before.
    """
    with writing():
        change_once(Plan.objects.filter(pk=plan.pk, withdrawn_at=None).update(withdrawn_at=now))
        plan.withdrawn_at = now
        audit.record(now=now, actor=actor, action="plan.withdrawn", subject=plan.code)
    return plan


def _check_routes(routes: Sequence[str]) -> None:
    state = SiteState.objects.first()
    wrong = inner.fault(routes, tunnel=[state.inner4, state.inner6] if state else [])
    if wrong:
        raise CatalogueWrong(
            _("These inner networks cannot be let through: %(wrong)s.") % {"wrong": wrong},
            _("Write networks such as 10.20.0.0/16 or fd20::/64, without host bits."),
        )


def _costs_something(plan: Plan) -> bool:
    return Price.objects.filter(plan=plan, valid_to=None, amount_minor__gt=0).exists()


def _own_staff_free() -> CatalogueWrong:
    return CatalogueWrong(
        _("A plan on a line for own staff costs nothing: its price is 0."),
        _("What is sold needs a line for the public and the approvals for it."),
    )


def _inner_for_public() -> CatalogueWrong:
    return CatalogueWrong(
        _("Inner networks are for closed services, not for a plan that the public can buy."),
        _("Make a plan of its own on a line for own staff or an organisation's members."),
    )
