"""Every object that the sandbox answers or calls back with is as Stripe publishes it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from published_stripe import canonical, differences

from support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    import stripe

    from running_sandbox import Ear, RunningSandbox

ALL = (
    "checkout/sessions",
    "payment_intents",
    "charges",
    "refunds",
    "disputes",
    "payouts",
    "balance_transactions",
    "events",
)


def _all_objects(sandbox: RunningSandbox, ear: Ear) -> Iterator[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {sandbox.settings['secret key']}"}
    for path in ALL:
        page = sandbox.ask("GET", f"/stripe/v1/{path}?limit=100", headers=headers).json()
        assert page["data"], path
        yield from page["data"]
    yield sandbox.ask("GET", "/stripe/v1/balance", headers=headers).json()
    for heard in ear.heard:
        event = heard.json()
        yield event
        yield event["data"]["object"]


def _live_a_little(sandbox: RunningSandbox, client: stripe.StripeClient, open_session: Any) -> None:
    """Pay by every means, decline, expire, refund, dispute both ways, pay out."""
    intents = {}
    for means in ("card", "alipay", "wechat_pay", "sepa_debit"):
        session = open_session(currency="eur", amount=100_000)
        sandbox.act(session.url, "decline", means=means, place="SE")
        sandbox.act(session.url, "pay", means=means, place="SE")
        paid = client.v1.checkout.sessions.retrieve(session.id)
        intents[means] = str(paid.payment_intent)
        if means == "sepa_debit":
            sandbox.control("POST", "/stripe/clear", session=session.id)
    failing = open_session(currency="eur")
    sandbox.act(failing.url, "pay", means="sepa_debit", place="DE")
    sandbox.control("POST", "/stripe/clear", session=failing.id, fails=True)
    declined = open_session(currency="cny")
    sandbox.act(declined.url, "decline", means="card", place="SE")
    client.v1.checkout.sessions.expire(declined.id)
    client.v1.refunds.create({"payment_intent": intents["card"], "amount": 300})
    sandbox.control("POST", "/stripe/trouble", pending_refunds=True)
    for means, fails in (("alipay", True), ("wechat_pay", False)):
        refund = client.v1.refunds.create({"payment_intent": intents[means], "amount": 1})
        sandbox.control("POST", "/stripe/refund", refund=refund.id, fails=fails)
    for means, won in (("card", True), ("sepa_debit", False)):
        opened = sandbox.control("POST", "/stripe/dispute", payment_intent=intents[means])
        sandbox.control("POST", "/stripe/decide", dispute=opened["dispute"], won=won)
    sandbox.control("POST", "/stripe/payout")


def test_every_object_is_as_published(
    stripe_sandbox: RunningSandbox, ear: Ear, client: stripe.StripeClient, open_session: Any
) -> None:
    _live_a_little(stripe_sandbox, client, open_session)
    eventually(lambda: stripe_sandbox.control("GET", "")["waiting"] == 0, within=20)

    found = list(_all_objects(stripe_sandbox, ear))

    assert {value["object"] for value in found} == set(canonical())
    assert sorted({other for value in found for other in differences(value)}) == []


def test_every_kind_of_event_is_played(
    stripe_sandbox: RunningSandbox, ear: Ear, client: stripe.StripeClient, open_session: Any
) -> None:
    _live_a_little(stripe_sandbox, client, open_session)
    eventually(lambda: stripe_sandbox.control("GET", "")["waiting"] == 0, within=20)

    assert {heard.json()["type"] for heard in ear.heard} == {
        "charge.dispute.closed",
        "charge.dispute.created",
        "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn",
        "charge.failed",
        "charge.pending",
        "charge.refunded",
        "charge.succeeded",
        "charge.updated",
        "checkout.session.async_payment_failed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.completed",
        "checkout.session.expired",
        "payment_intent.canceled",
        "payment_intent.created",
        "payment_intent.payment_failed",
        "payment_intent.processing",
        "payment_intent.succeeded",
        "payout.created",
        "payout.paid",
        "payout.reconciliation_completed",
        "refund.created",
        "refund.failed",
        "refund.updated",
    }


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"luck": 1}, "refund invents luck"),
        ({"amount": "100"}, "refund.amount is str, published is int"),
        ({"charge": 7}, "refund.charge is int, published is str"),
        ({"reason": "boredom"}, "refund.reason is 'boredom'"),
        ({"destination_details": {"type": "card", "luck": 1}}, "destination_details invents luck"),
    ],
)
def test_comparison_finds_a_difference(change: dict[str, Any], found: str) -> None:
    refund = copy.deepcopy(canonical()["refund"]) | change

    assert any(found in other for other in differences(refund)), differences(refund)


def test_comparison_finds_a_missing_field() -> None:
    refund = copy.deepcopy(canonical()["refund"])
    del refund["currency"]

    assert differences(refund)[0] == "refund lacks currency"
