"""What every payment provider must do, asked of each by a class of its own.

    class TestStripe(NetContract):
        @pytest.fixture
        def world(self, ...) -> World: ...

A subclass gives a `world`: the outside as the provider sees it, with a customer in it who pays.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import pytest

from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.ledger.models import LedgerTransaction
from ferriage.payments import accounts, actions, inbox, matching
from ferriage.payments.models import InboxEvent, Payment, ProviderAccount, Refund
from ferriage.payments.providers import registry
from ferriage.payments.providers.contract import Event, RawEvent, Unverified, Urls
from ferriage.plans.models import Period
from till import Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ferriage.orders.models import Order
    from ferriage.payments.providers.contract import NetProvider, Provider

URLS = Urls(
    back="https://shop.example/orders/ord_X/back/",
    cancelled="https://shop.example/orders/ord_X/",
    events="https://shop.example/pay/x/events",
)


class World(Protocol):
    """The outside of one provider: its servers, and a customer who pays there."""

    provider: type[NetProvider]
    secrets: dict[str, str]
    choice: str
    """One that the provider offers; empty where it offers one way only."""

    def pay(self, payment: Payment, now: object) -> Sequence[RawEvent]:
        """Let the customer pay in full; returns the callbacks, in the order they were sent."""

    def fail(self, payment: Payment, now: object) -> Sequence[RawEvent]:
        """Let the payment fail or run out; returns the callbacks."""

    def others(self, payment: Payment, now: object) -> Sequence[RawEvent]:
        """Return signed callbacks of every kind that is no money, none of a payment that failed."""

    def forged(self, raw: RawEvent) -> Sequence[RawEvent]:
        """Return a callback as others could send it: no signature, another's, an altered body."""


class AnyContract:
    """What holds of every provider, over the net or not."""

    @pytest.fixture
    def provider(self) -> Provider:
        raise NotImplementedError

    def test_names_itself(self, provider: Provider) -> None:
        assert provider.slug == provider.slug.lower()
        assert 0 < len(provider.slug) <= 16
        assert str(provider.title)
        assert isinstance(provider.is_test_mode, bool)

    def test_offers_each_choice_once_under_its_own_name(
        self, provider: Provider, till: Till
    ) -> None:
        offered = provider.offered(till.order(), till.now)

        assert offered
        assert {means.slug for means in offered} == {provider.slug}
        assert len({means.choice for means in offered}) == len(offered)
        assert {means.contrary for means in offered} == {None}

    def test_believes_no_stranger(self, provider: Provider, till: Till) -> None:
        with pytest.raises(Unverified):
            provider.verify(RawEvent(b'{"type": "paid"}', {}, till.now))


class ByHandContract(AnyContract):
    """What holds of providers that nobody can be asked about."""

    def test_says_nothing_by_itself(self, provider: Provider, till: Till) -> None:
        payment = till.transfer(till.order())

        assert provider.ask(payment) == []
        assert provider.settlements(till.now) == []

    def test_leaves_refunds_to_staff(self, provider: Provider, till: Till) -> None:
        payment = till.receive("nobody's", 500).payment
        refund = actions.refund_unallocated(payment=payment, now=till.now, actor=OWNER)

        assert provider.refund(refund).state == "by-hand"


class NetContract(AnyContract):
    """What holds of every provider over the net."""

    @pytest.fixture
    def world(self) -> World:
        raise NotImplementedError

    @pytest.fixture
    def account(self, world: World, till: Till, monkeypatch: pytest.MonkeyPatch) -> ProviderAccount:
        monkeypatch.setitem(registry.KINDS, world.provider.slug, world.provider)
        return accounts.add_provider(
            slug=world.provider.slug,
            label="The shop's",
            mode="test",
            secrets=world.secrets,
            now=till.now,
            actor=OWNER,
        )

    @pytest.fixture
    def provider(self, account: ProviderAccount) -> Provider:
        return registry.opened(account)

    @pytest.fixture
    def order(self, till: Till) -> Order:
        return till.order()

    @pytest.fixture
    def payment(self, world: World, account: ProviderAccount, order: Order, till: Till) -> Payment:
        return self.begun(world, account, order, till)

    def begun(self, world: World, account: ProviderAccount, order: Order, till: Till) -> Payment:
        return actions.start(
            order=order,
            slug=account.slug,
            choice=world.choice,
            urls=URLS,
            now=till.now,
            actor=CUSTOMER,
        )

    def told(self, callbacks: Sequence[RawEvent], account: ProviderAccount, till: Till) -> None:
        """Deliver callbacks as the site does: kept first, handled second."""
        for raw in callbacks:
            for event in inbox.receive(slug=account.slug, raw=raw, now=till.now):
                matching.handle(event=event, now=till.now)

    def paid(self, events: Sequence[Event]) -> list[tuple[str, Money | None]]:
        return [(event.transaction_id, event.money) for event in events if event.kind == "paid"]

    def test_secrets_are_sealed_and_shown_by_nothing(
        self, world: World, account: ProviderAccount, provider: Provider
    ) -> None:
        said = f"{account!r} {provider!r} {account.__dict__} {registry.sealed(account, {})}"
        fields = world.provider.secret_fields
        for name in (field.name for field in fields if field.is_secret):
            assert world.secrets[name]
            assert world.secrets[name] not in said

    def test_start_gives_a_place_to_pay_and_its_own_name_of_it(self, payment: Payment) -> None:
        assert payment.state == "pending"
        assert payment.pay_url.startswith(("https://", "http://127.0.0.1"))
        assert payment.provider_ref

    def test_start_again_comes_to_the_same(
        self, provider: Provider, payment: Payment, order: Order, till: Till
    ) -> None:
        started = [provider.start(payment, order, URLS, till.now) for _again in range(2)]

        assert {one.provider_ref for one in started} == {payment.provider_ref}
        assert {one.url for one in started} == {payment.pay_url}

    def test_nothing_is_paid_before_it_is(self, provider: Provider, payment: Payment) -> None:
        assert self.paid(provider.ask(payment)) == []

    def test_paying_settles_the_order_exactly_once(
        self, world: World, account: ProviderAccount, payment: Payment, order: Order, till: Till
    ) -> None:
        callbacks = world.pay(payment, till.now)

        self.told(callbacks, account, till)
        self.told(callbacks, account, till)
        self.told(list(reversed(callbacks)), account, till)

        order.refresh_from_db()
        payment.refresh_from_db()
        assert (order.state, payment.state, payment.outcome) == ("fulfilled", "captured", "settled")
        assert Period.objects.count() == 1
        assert books() == {account.asset: 1000, "liabilities:unearned": 1000}
        assert InboxEvent.objects.filter(handled_at=None).count() == 0
        assert_sound()

    def test_asking_tells_the_same_money_as_the_callback(
        self, world: World, account: ProviderAccount, payment: Payment, order: Order, till: Till
    ) -> None:
        callbacks = world.pay(payment, till.now)

        asked = self.paid(registry.opened(account).ask(payment))
        matching.look(account, payment, till.now)
        self.told(callbacks, account, till)

        order.refresh_from_db()
        payment.refresh_from_db()
        assert asked == [(payment.transaction_id, Money(1000, "CNY"))]
        assert order.state == "fulfilled"
        assert LedgerTransaction.objects.filter(kind="receipt").count() == 1
        assert_sound()

    def test_forged_callback_is_refused_counted_and_not_kept(
        self, world: World, account: ProviderAccount, payment: Payment, till: Till
    ) -> None:
        genuine = world.pay(payment, till.now)[-1]
        forged = world.forged(genuine)

        assert forged
        for raw in forged:
            with pytest.raises(Unverified):
                inbox.receive(slug=account.slug, raw=raw, now=till.now)
        assert InboxEvent.objects.count() == 0
        assert inbox.refused_since(till.now.date()) == {account.slug: len(forged)}

    def test_nothing_but_money_opens_service(
        self, world: World, account: ProviderAccount, payment: Payment, order: Order, till: Till
    ) -> None:
        others = world.others(payment, till.now)

        assert others
        self.told(others, account, till)

        order.refresh_from_db()
        assert order.state == "open"
        assert Period.objects.count() == 0
        assert books() == {}

    def test_failure_opens_nothing_and_another_start_is_new(
        self, world: World, account: ProviderAccount, payment: Payment, order: Order, till: Till
    ) -> None:
        self.told(world.fail(payment, till.now), account, till)

        payment.refresh_from_db()
        assert payment.state == "failed"
        assert self.begun(world, account, order, till) != payment
        assert Period.objects.count() == 0

    def test_refund_comes_to_one_outcome_however_often_it_is_asked(
        self, world: World, account: ProviderAccount, payment: Payment, till: Till
    ) -> None:
        self.told(world.pay(payment, till.now), account, till)
        payment.refresh_from_db()
        refund = Refund.objects.create(
            payment=payment,
            kind=Refund.Kind.ENDED,
            amount_minor=400,
            currency="CNY",
            reason="ended early",
            created_at=till.now,
        )

        results = [registry.opened(account).refund(refund) for _again in range(2)]

        assert results[0].state in {"paid", "pending", "by-hand"}
        assert {result.reference for result in results} == {results[0].reference}

    def test_settlement_rows_are_whole_and_name_the_money(
        self, world: World, account: ProviderAccount, payment: Payment, till: Till
    ) -> None:
        self.told(world.pay(payment, till.now), account, till)
        payment.refresh_from_db()

        rows = registry.opened(account).settlements(till.now.replace(year=2000))

        assert len({row.row_id for row in rows}) == len(rows)
        assert all(row.net_minor == row.gross_minor - row.fee_minor for row in rows)
        charges = {row.reference for row in rows if row.kind == "charge"}
        assert charges <= {payment.transaction_id}


def altered(raw: RawEvent) -> RawEvent:
    """Return the callback with one byte of its body changed, its signature as it was."""
    return replace(raw, body=raw.body.replace(b"1000", b"9000", 1) + b" ")
