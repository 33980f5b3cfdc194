"""What would become of each customer of another system, judged at one instant."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from django.db.models import Sum
from django.utils.translation import gettext as _

from ferriage.approvals.reasons import sentence
from ferriage.approvals.site import packs_in_force
from ferriage.arrivals.mapping import LEFT_OUT, MappingWrong
from ferriage.arrivals.models import Arrival
from ferriage.core.hashing import hash_secret
from ferriage.core.money import Money, exponent
from ferriage.orders.balancemodels import OPENED
from ferriage.orders.models import BalanceMove
from ferriage.plans import queries as plan_queries
from ferriage.plans.models import Plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.arrivals.mapping import PlanRule, Rules
    from ferriage.arrivals.sources import OldCustomer
    from ferriage.plans.queries import OfferView

Fate = Literal[
    "time",
    "balance",
    "already",
    "staff",
    "banned",
    "left-out",
    "nothing",
    "over",
    "used-up",
    "endless",
    "unmapped",
    "no-place",
    "no-currency",
    "register",
    "outlives",
]
_WITHOUT_TIME: Final = frozenset(("nothing", "over", "used-up"))
"""Fates of a time that leave a balance to come over alone."""
_CHUNK: Final = 500
_HASHED: Final = 20
"""Hex digits of a hash in the code of a balance that was typed: as many as a code has room for."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What becomes of one customer.

    With fate `time` they get `plan` until `ends_at`, judged on `offer`, and a balance if there is
    one; with `balance` that alone. Any other fate is why they stay where they are; `why` is the
    register's own word. `offer` is also there when the register refused it.
    """

    customer: OldCustomer
    fate: Fate
    place: str = ""
    plan: Plan | None = None
    ends_at: datetime | None = None
    balance: Money | None = None
    offer: OfferView | None = None
    why: str = ""

    @property
    def comes(self) -> bool:
        """Tell whether an account is opened for them."""
        return self.fate in {"time", "balance"}


def plan_all(*, customers: Sequence[OldCustomer], rules: Rules, now: datetime) -> list[Planned]:
    """Return what becomes of each customer, in their order.

    The register is read once for each place, whatever the number of customers.

    Raises:
        MappingWrong: The mapping names a plan that there is not.
    """
    judge = _Judge(rules, now)
    arrived = arrived_of(rules.source, customers)
    return [
        Planned(one, "already")
        if customer_hash(rules.source, one) in arrived
        else judge.fate_of(one)
        for one in customers
    ]


def customer_hash(source: str, customer: OldCustomer) -> str:
    """Return what a customer of another system is known by once they came over."""
    return reference_hash(source, customer.id)


def reference_hash(source: str, number: str) -> str:
    """Return what somebody is known by who had a number in another system.

    However both are spelled: case, blanks and leading noughts make nobody another one.
    """
    return hash_secret("arrival", f"{_plain(source)}\n{plain_number(number)}")


def plain_number(number: str) -> str:
    """Return a number in another system in the one spelling that all of its spellings share."""
    plain = _plain(number)
    return str(int(plain)) if plain.isdecimal() else plain


def _plain(text: str) -> str:
    # Twice, as Unicode's own matching without case does: folding may undo what was composed.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(one for one in folded if unicodedata.category(one)[0] not in "ZC")


def code_of_opening(known_by: str) -> str:
    """Return the code of a balance that staff typed for somebody, by `reference_hash`."""
    return f"opn_{known_by[:_HASHED]}"


def arrived_of(source: str, customers: Iterable[OldCustomer]) -> set[str]:
    """Return the hashes of those of the customers who came over before, or whose balance did."""
    hashes = [customer_hash(source, one) for one in customers]
    found: set[str] = set()
    for start in range(0, len(hashes), _CHUNK):
        chunk = hashes[start : start + _CHUNK]
        rows = Arrival.objects.filter(source=source, customer_hash__in=chunk)
        found.update(rows.values_list("customer_hash", flat=True))
        by_code = {code_of_opening(known_by): known_by for known_by in chunk}
        found.update(by_code[code] for code in standing(by_code))
    return found


def standing(codes: Iterable[str]) -> set[str]:
    """Return which of the codes of opening balances stand: typed, and not taken back since."""
    moves = BalanceMove.objects.filter(source_code__in=list(codes)).order_by()
    sums = moves.values("source_code").annotate(minor=Sum("amount_minor")).filter(minor__gt=0)
    return set(sums.values_list("source_code", flat=True))


def openings_of(account: Account) -> list[BalanceMove]:
    """Return the opening balances that staff typed for an account and that stand, oldest first."""
    moves = BalanceMove.objects.filter(
        balance__account=account, kind=OPENED, source_code__startswith="opn_"
    )
    newest = {move.source_code: move for move in moves.select_related("balance").order_by("pk")}
    still = standing(newest)
    return [move for code, move in newest.items() if code in still]


def opening_of(code: str) -> BalanceMove | None:
    """Return the opening balance of a code that stands, or nothing."""
    moves = BalanceMove.objects.filter(source_code=code, kind=OPENED).order_by("pk")
    return moves.select_related("balance__account").last() if standing([code]) else None


class _Judge:
    """Rules of a mapping file with the plans that they name, and the register's word on each."""

    def __init__(self, rules: Rules, now: datetime) -> None:
        self.rules = rules
        self.now = now
        self.packs = packs_in_force()
        self.plans = _plans(rules)
        self.offers = _offers(rules, self.plans, now)

    def fate_of(self, customer: OldCustomer) -> Planned:
        """Return what becomes of a customer who did not come over yet."""
        rule = self.rules.plans.get(customer.plan)
        if customer.shut in {"staff", "banned"}:
            return Planned(customer, "staff" if customer.shut == "staff" else "banned")
        if rule is not None and rule.to == LEFT_OUT:
            return Planned(customer, "left-out")
        balance = self._balance(customer)
        if customer.balance_cents > 0 and balance is None:
            return Planned(customer, "no-currency")
        planned = self._time(customer, balance)
        if planned.fate in _WITHOUT_TIME and balance is not None:
            return Planned(customer, "balance", place=self.rules.place, balance=balance)
        return planned

    def _time(self, customer: OldCustomer, balance: Money | None) -> Planned:
        ends_at = self._end(customer)
        if ends_at is None:
            return Planned(customer, "endless" if customer.endless else "nothing")
        if customer.shut == "used-up" or ends_at <= self.now:
            return Planned(customer, "used-up" if customer.shut == "used-up" else "over")
        rule = self.rules.plans.get(customer.plan)
        if rule is None or not rule.to:
            return Planned(customer, "unmapped")
        if not rule.place:
            return Planned(customer, "no-place")
        return self._judged(customer, rule, ends_at, balance)

    def _judged(
        self, customer: OldCustomer, rule: PlanRule, ends_at: datetime, balance: Money | None
    ) -> Planned:
        plan, place = self.plans[rule.to], rule.place
        offer = self.offers.get((rule.to, place))
        if offer is None or offer.state != "on_sale":
            return Planned(customer, "register", place, plan, offer=offer, why=self._why(offer))
        if not offer.sells(ends_at):
            return Planned(customer, "outlives", place, plan, ends_at, offer=offer)
        return Planned(customer, "time", place, plan, ends_at, balance, offer)

    def _end(self, customer: OldCustomer) -> datetime | None:
        if customer.lasts is not None:
            return self.now + customer.lasts
        return self.rules.never_until if customer.endless else customer.ends_at

    def _balance(self, customer: OldCustomer) -> Money | None:
        """Return hundredths of a currency in its own minor units, rounded up for the customer."""
        currency, cents = self.rules.currency, customer.balance_cents
        if not currency or cents <= 0:
            return None
        return Money(-(-cents * 10 ** exponent(currency) // 100), currency)

    def _why(self, offer: OfferView | None) -> str:
        if offer is None:
            return _("The plan is offered on no line, or was withdrawn.")
        if offer.verdict.reasons:
            return " ".join(sentence(one, "en", self.packs) for one in offer.verdict.reasons)
        if offer.state == "hidden":
            return _("Its line is for named people only, or was never opened.")
        if offer.runs_out:
            return _("The approval of its line ends too soon for any sale.")
        return _("Its line is not open.")


def _plans(rules: Rules) -> dict[str, Plan]:
    codes = {rule.to for rule in rules.plans.values()} - {"", LEFT_OUT}
    found = {plan.code: plan for plan in Plan.objects.filter(code__in=codes)}
    for code in sorted(codes - set(found)):
        raise MappingWrong(
            _("There is no plan %(code)s.") % {"code": code}, _("`ferriage list` shows plans.")
        )
    return found


def _offers(
    rules: Rules, plans: dict[str, Plan], now: datetime
) -> dict[tuple[str, str], OfferView]:
    """Return each plan's best offer in the place of its rule: on sale, else any."""
    wanted: defaultdict[str, list[Plan]] = defaultdict(list)
    for rule in rules.plans.values():
        if rule.place and rule.to in plans:
            wanted[rule.place].append(plans[rule.to])
    best: dict[tuple[str, str], OfferView] = {}
    for place, listed in wanted.items():
        by_plan: defaultdict[str, list[OfferView]] = defaultdict(list)
        for view in plan_queries.offers(now=now, place=place, plans=listed):
            by_plan[view.plan.code].append(view)
        for code, views in by_plan.items():
            best[code, place] = plan_queries.longest_on_sale(views) or views[0]
    return best
