"""What the two shops sold. Sums and the first shop's prices are the newspaper's."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from ferriage.cli.demobooks.shop import CURRENCY, OLGA, Shop, yuan
from ferriage.cli.words import say
from ferriage.core.money import Money
from ferriage.ledger import actions as ledger
from ferriage.ledger import chart, partners
from ferriage.ledger.models import Partner
from ferriage.ledger.queries import posted_in_all
from ferriage.orders import actions as orders
from ferriage.plans.models import Subscription

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_DAY: Final = timedelta(days=1)

# --- one seller, four terms, from June to 21 August 2017 --------------------------------------

ONE_TOOK: Final = 108_000
_ONE_PRICES: Final = {1: 1000, 6: 5000, 12: 9000, 24: 12000}
_ONE_SOLD: Final = {6: 6, 12: 4, 24: 2}
"""Beside 18 single months: 18 x 10 + 6 x 50 + 4 x 90 + 2 x 120 = 1,080 yuan."""
_MONTHLY: Final = 6
"""Customers who buy a month in each of June, July and August."""
_ONE_OPENS: Final = datetime(2017, 6, 1, 9, tzinfo=UTC)
_ONE_ENDS: Final = datetime(2017, 8, 21, 12, tzinfo=UTC)


def one_seller(directory: Path) -> None:
    """Sell the four terms to 18 customers, and stop on 21 August."""
    say("1. One seller, four terms, from 1 June to 21 August 2017")
    shop = Shop(directory, _ONE_OPENS)
    shop.offer(shop.open(), "ferry", "Ferry", _ONE_PRICES)
    regulars = [shop.customer() for _number in range(_MONTHLY)]
    sales = [
        (datetime(2017, month, 2 + number, 18, 30, tzinfo=UTC), account, 1)
        for number, account in enumerate(regulars)
        for month in (6, 7, 8)
    ]
    once = [months for months, number in _ONE_SOLD.items() for _number in range(number)]
    sales += [
        (_ONE_OPENS + (1 + 6 * number) * _DAY, shop.customer(), months)
        for number, months in enumerate(once)
    ]
    for at, account, months in sorted(sales, key=lambda sale: sale[0]):
        shop.go_to(at)
        shop.sell(account, "ferry", months)
    shop.go_to(_ONE_ENDS)
    shop.print_books()
    _adds_up(shop, ONE_TOOK)
    say("   The shop stops: what nobody used goes back.")
    for subscription in Subscription.objects.filter(pk__in=_running(shop)):
        orders.end_subscription(
            subscription=subscription,
            at=shop.now,
            reason="The shop stops",
            now=shop.now,
            actor=OLGA,
        )
    shop.work()
    shop.print_books()
    _adds_up(shop, ONE_TOOK)


def _running(shop: Shop) -> list[int]:
    from ferriage.orders.queries import running

    everybody = Subscription.objects.all()
    found = {order.subscription_id for order in running(everybody, at=shop.now)}
    return sorted(pk for pk in found if pk is not None)


# --- two services and two partners, since October 2015 ----------------------------------------

TWO_TOOK: Final = 1_400_000
_PRICES: Final[Mapping[str, Mapping[int, int]]] = {
    "home": {1: 2500, 12: 24000},
    "travel": {6: 13333, 24: 48001},
}
_SOLD: Final = {("home", 1): 48, ("home", 12): 35, ("travel", 6): 15, ("travel", 24): 5}
"""48 x 25.00 + 35 x 240.00 + 15 x 133.33 + 5 x 480.01 = 14,000.00 yuan."""
_SHARES: Final[Mapping[str, Mapping[str, int]]] = {
    "home": {"": 3334, "anna": 3333, "bo": 3333},
    "travel": {"": 5000, "anna": 1250, "bo": 3750},
}
_LATER: Final = {"": 2500, "anna": 5000, "bo": 2500}
"""What holds of `travel` from 2017 on."""
_TWO_OPENS: Final = datetime(2015, 10, 5, 8, tzinfo=UTC)
_APART: Final = timedelta(days=5, hours=7)
_EARNED: Final = datetime(2019, 4, 2, tzinfo=UTC)


def two_partners(directory: Path) -> None:
    """Sell two services, split what they earn each month, and pay the partners."""
    say("\n2. Two services and two partners, since October 2015")
    shop = Shop(directory, _TWO_OPENS)
    line = shop.open()
    for slug, prices in _PRICES.items():
        shop.offer(line, slug, slug.capitalize(), prices)
    for name in ("anna", "bo"):
        ledger.add_partner(name=name, now=shop.now, actor=OLGA)
    for service, shares in _SHARES.items():
        ledger.agree(
            service=service,
            shares=shares,
            valid_from=date(2015, 10, 1),
            now=shop.now,
            actor=OLGA,
        )
    for number, (service, months) in enumerate(_mixed()):
        shop.go_to(_TWO_OPENS + number * _APART)
        shop.sell(shop.customer(), service, months)
    ledger.agree(
        service="travel",
        shares=_LATER,
        valid_from=date(2017, 6, 1),
        now=shop.now,
        actor=OLGA,
    )
    say(f"   On {shop.now:%-d %B %Y}, after the last sale:")
    shop.print_books()
    _adds_up(shop, TWO_TOOK)
    shop.go_to(_EARNED)
    say(f"   On {shop.now:%-d %B %Y}, when every term is over:")
    shop.print_books()
    _adds_up(shop, TWO_TOOK)
    earned = sum(minor for name, minor in shop.held().items() if name.startswith("income:"))
    shop.must(earned == TWO_TOOK, f"all of {yuan(TWO_TOOK)} is earned")
    _pay_partners(shop, earned)


def _mixed() -> Iterator[tuple[str, int]]:
    """Yield the sales, each kind spread over the whole time."""
    places = [
        ((place + 0.5) / number, kind) for kind, number in _SOLD.items() for place in range(number)
    ]
    return (kind for _place, kind in sorted(places))


def _pay_partners(shop: Shop, earned: int) -> None:
    shares = 0
    for partner in Partner.objects.order_by("name"):
        (statement,) = partners.statements(partner)
        say(f"   Statement of {partner.name}: {len(statement.lines)} months of services")
        for service in _PRICES:
            lines = [line for line in statement.lines if line.settlement.service == service]
            split = sum(line.settlement.split_minor for line in lines)
            got = sum(line.amount_minor for line in lines)
            say(f"      {service:<8}{yuan(got):>14} of {yuan(split):>14}")
        shop.must(
            statement.earned_minor == partners.owed_minor(partner, CURRENCY),
            f"they come to {yuan(statement.earned_minor)}, which is what the books owe",
        )
        payout = ledger.queue_payout(
            partner=partner,
            money=Money(statement.earned_minor, CURRENCY),
            now=shop.now,
            actor=OLGA,
        )
        ledger.note_payout(
            payout=payout, reference=f"INVENTED-OUT-{partner.name}", now=shop.now, actor=OLGA
        )
        shop.must(partners.owed_minor(partner, CURRENCY) == 0, "paid, and nothing is left")
        shares += statement.earned_minor
    own = shop.held()["assets:bank"]
    shop.must(
        own + shares == earned,
        f"the operator keeps {yuan(own)}; with the partners' {yuan(shares)} that is all",
    )


# --- both -------------------------------------------------------------------------------------

BY_NAME: Final[Mapping[str, Callable[[Path], None]]] = {
    "one-seller": one_seller,
    "two-partners": two_partners,
}


def _adds_up(shop: Shop, took: int) -> None:
    """Insist that all that was received is somewhere, each part once."""
    held = shop.held()
    received = posted_in_all(kinds=("receipt",), currency=CURRENCY)
    earned = sum(minor for name, minor in held.items() if name.startswith("income:"))
    unearned, owed = held.get(chart.UNEARNED, 0), held.get(chart.REFUNDS, 0)
    shop.must(
        received == took == earned + unearned + owed,
        f"{yuan(received)} received = {yuan(earned)} earned + {yuan(unearned)} unearned"
        f" + {yuan(owed)} to be refunded",
    )
