"""What Stripe's API does and refuses, asked by Stripe's own SDK."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import stripe

from support import eventually

if TYPE_CHECKING:
    from running_sandbox import Ear, RunningSandbox

LINE = {
    "price_data": {"currency": "cny", "unit_amount": 1000, "product_data": {"name": "One month"}},
    "quantity": 1,
}


def _kinds(ear: Ear) -> list[str]:
    return [heard.json()["type"] for heard in ear.heard]


def _paid(client: stripe.StripeClient, sandbox: RunningSandbox, open_session: Any) -> str:
    session = open_session()
    sandbox.act(session.url, "pay", means="card", place="SE")
    return str(client.v1.checkout.sessions.retrieve(session.id).payment_intent)


@pytest.mark.parametrize("key", ["sk_test_somebodyelse", "sk_live_somebodyelse"])
def test_wrong_key_is_refused_and_not_repeated(stripe_sandbox: RunningSandbox, key: str) -> None:
    client = stripe.StripeClient(key, base_addresses={"api": stripe_sandbox.settings["address"]})

    with pytest.raises(stripe.AuthenticationError) as refused:
        client.v1.checkout.sessions.list()

    assert str(refused.value.user_message) == f"Invalid API Key provided: {key[:7]}_********else"


def test_call_without_key_is_refused(stripe_sandbox: RunningSandbox) -> None:
    answer = stripe_sandbox.ask("GET", "/stripe/v1/charges")

    assert (answer.status, answer.json()["error"]["type"]) == (401, "invalid_request_error")


def test_unknown_call_is_refused(stripe_sandbox: RunningSandbox) -> None:
    key = stripe_sandbox.settings["secret key"]
    headers = {"Authorization": f"Bearer {key}"}

    answer = stripe_sandbox.ask("GET", "/stripe/v1/customers", headers=headers)

    assert answer.status == 404
    assert "Unrecognized request URL (GET: /stripe/v1/customers)" in answer.body.decode()


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"mode": "subscription"}, "mode", None),
        ({"mode": None}, "mode", "parameter_missing"),
        ({"success_url": None}, "success_url", "parameter_missing"),
        ({"line_items": None}, "line_items", "parameter_missing"),
        ({"luck": "1"}, "luck", "parameter_unknown"),
        ({"expires_at": 5}, "expires_at", None),
        ({"payment_method_types": ["klarna"]}, "payment_method_types", None),
        (
            {"payment_method_types": ["wechat_pay"]},
            "payment_method_options[wechat_pay][client]",
            None,
        ),
        ({"payment_method_types": ["sepa_debit"]}, "payment_method_types", None),
        (
            {"line_items": [{"price_data": {**LINE["price_data"], "unit_amount": "1.5"}}]},
            "line_items[0][price_data][unit_amount]",
            "parameter_invalid_integer",
        ),
        (
            {"line_items": [{"price_data": {**LINE["price_data"], "currency": "yuan"}}]},
            "line_items[0][price_data][currency]",
            None,
        ),
    ],
)
def test_session_is_refused(
    client: stripe.StripeClient, change: dict[str, Any], param: str, code: str | None
) -> None:
    given = {"mode": "payment", "success_url": "http://localhost/", "line_items": [LINE], **change}
    given = {name: value for name, value in given.items() if value is not None}

    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.checkout.sessions.create(given)  # type: ignore[arg-type]

    assert (refused.value.param, refused.value.code) == (param, code)
    assert client.v1.checkout.sessions.list().data == []


def test_same_key_and_parameters_give_the_first_answer(client: stripe.StripeClient) -> None:
    given: Any = {"mode": "payment", "success_url": "http://localhost/", "line_items": [LINE]}

    first = client.v1.checkout.sessions.create(given, {"idempotency_key": "pay_1"})
    again = client.v1.checkout.sessions.create(given, {"idempotency_key": "pay_1"})

    assert again.id == first.id
    assert again.last_response is not None
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert len(client.v1.checkout.sessions.list().data) == 1


def test_same_key_with_other_parameters_is_refused(client: stripe.StripeClient) -> None:
    given: Any = {"mode": "payment", "success_url": "http://localhost/", "line_items": [LINE]}
    client.v1.checkout.sessions.create(given, {"idempotency_key": "pay_1"})

    with pytest.raises(stripe.IdempotencyError):
        client.v1.checkout.sessions.create(
            {**given, "success_url": "http://localhost/x"}, {"idempotency_key": "pay_1"}
        )
    with pytest.raises(stripe.IdempotencyError):
        client.v1.refunds.create({"charge": "ch_1"}, {"idempotency_key": "pay_1"})


def test_refused_call_leaves_its_key_free(client: stripe.StripeClient) -> None:
    given: Any = {"mode": "payment", "success_url": "http://localhost/", "line_items": [LINE]}
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.create({**given, "mode": "x"}, {"idempotency_key": "pay_1"})

    made = client.v1.checkout.sessions.create(given, {"idempotency_key": "pay_1"})

    assert made.status == "open"


def test_cut_answer_was_done_and_its_key_finds_it(
    stripe_sandbox: RunningSandbox, client: stripe.StripeClient
) -> None:
    given: Any = {"mode": "payment", "success_url": "http://localhost/", "line_items": [LINE]}
    stripe_sandbox.control("POST", "/stripe/trouble", cut=1)

    with pytest.raises(stripe.APIConnectionError):
        client.v1.checkout.sessions.create(given, {"idempotency_key": "pay_1"})
    again = client.v1.checkout.sessions.create(given, {"idempotency_key": "pay_1"})

    assert [session.id for session in client.v1.checkout.sessions.list().data] == [again.id]


def test_outage_is_an_error_of_theirs(
    stripe_sandbox: RunningSandbox, client: stripe.StripeClient
) -> None:
    stripe_sandbox.control("POST", "/stripe/trouble", down=True)

    with pytest.raises(stripe.APIError):
        client.v1.charges.list()


def test_dynamic_means_follow_currency_and_exclusion(
    client: stripe.StripeClient, open_session: Any
) -> None:
    assert open_session(currency="eur").payment_method_types == [
        "card",
        "alipay",
        "wechat_pay",
        "sepa_debit",
    ]
    assert open_session(excluded_payment_method_types=["alipay"]).payment_method_types == [
        "card",
        "wechat_pay",
    ]
    assert client.v1.checkout.sessions.list().has_more is False


@pytest.mark.parametrize(
    ("means", "place", "said"),
    [("card", "SE", "SE"), ("card", "CN", "CN"), ("alipay", "SE", None)],
)
def test_charge_says_where_the_means_was_issued(
    stripe_sandbox: RunningSandbox,
    client: stripe.StripeClient,
    open_session: Any,
    means: str,
    place: str,
    said: str | None,
) -> None:
    session = open_session(payment_intent_data={"metadata": {"payment": "pay_1"}})

    stripe_sandbox.act(session.url, "pay", means=means, place=place)

    paid: Any = client.v1.checkout.sessions.retrieve(
        session.id, {"expand": ["payment_intent.latest_charge"]}
    )
    charge = paid.payment_intent.latest_charge
    assert (paid.status, paid.payment_status, charge.status) == ("complete", "paid", "succeeded")
    assert charge.metadata["payment"] == "pay_1"
    assert charge.payment_method_details.to_dict()[means].get("country") == said


def test_events_are_signed_and_tell_the_story_in_order(
    stripe_sandbox: RunningSandbox, client: stripe.StripeClient, ear: Ear, open_session: Any
) -> None:
    _paid(client, stripe_sandbox, open_session)

    eventually(lambda: len(ear.heard) == 5, within=5)
    assert _kinds(ear) == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "charge.updated",
        "checkout.session.completed",
    ]
    secret = stripe_sandbox.settings["webhook signing secret"]
    for heard in ear.heard:
        signature = heard.headers["Stripe-Signature"]
        assert client.construct_event(heard.body, signature, secret).id == heard.json()["id"]
    assert [event.id for event in client.v1.events.list().data] == [
        heard.json()["id"] for heard in ear.heard[::-1]
    ]


def test_forged_event_is_not_signed_by_stripe(
    stripe_sandbox: RunningSandbox, client: stripe.StripeClient, ear: Ear, open_session: Any
) -> None:
    stripe_sandbox.set_faults(forge=100, lose=100)
    _paid(client, stripe_sandbox, open_session)
    eventually(lambda: len(ear.heard) == 5, within=5)

    secret = stripe_sandbox.settings["webhook signing secret"]
    for heard in ear.heard:
        with pytest.raises(stripe.SignatureVerificationError):
            client.construct_event(heard.body, heard.headers["Stripe-Signature"], secret)


def test_debit_is_paid_when_it_clears(
    stripe_sandbox: RunningSandbox, client: stripe.StripeClient, ear: Ear, open_session: Any
) -> None:
    session = open_session(currency="eur")
    stripe_sandbox.act(session.url, "pay", means="sepa_debit", place="DE")
    waiting = client.v1.checkout.sessions.retrieve(session.id)

    cleared = stripe_sandbox.control("POST", "/stripe/clear", session=session.id)

    assert (waiting.status, waiting.payment_status) == ("complete", "unpaid")
    assert cleared == {"payment_status": "paid"}
    eventually(lambda: "checkout.session.async_payment_succeeded" in _kinds(ear), within=5)
    assert _kinds(ear).index("checkout.session.completed") < _kinds(ear).index("charge.succeeded")


def test_declined_card_leaves_the_page_open(
    stripe_sandbox: RunningSandbox, client: stripe.StripeClient, open_session: Any
) -> None:
    session = open_session()

    declined = stripe_sandbox.act(session.url, "decline", means="card", place="SE")
    paid = stripe_sandbox.act(session.url, "pay", means="card", place="SE")

    assert (declined.status, paid.status) == (402, 303)
    assert "Your card was declined" in declined.body.decode()
    charges = client.v1.charges.list().data
    assert sorted(charge.status for charge in charges) == ["failed", "succeeded"]


def test_page_ends_with_its_session(
    stripe_sandbox: RunningSandbox, client: stripe.StripeClient, open_session: Any
) -> None:
    session = open_session(cancel_url="http://localhost/back")
    left = stripe_sandbox.act(session.url, "abandon")
    client.v1.checkout.sessions.expire(session.id)

    refused = stripe_sandbox.act(session.url, "pay", means="card", place="SE")

    assert (left.status, left.headers["Location"]) == (303, "http://localhost/back")
    assert refused.status == 409
    assert "has expired" in refused.body.decode()
    with pytest.raises(stripe.InvalidRequestError, match=r"status of `expired`"):
        client.v1.checkout.sessions.expire(session.id)


def test_refunds_stay_below_the_charge(
    stripe_sandbox: RunningSandbox, client: stripe.StripeClient, open_session: Any
) -> None:
    intent = _paid(client, stripe_sandbox, open_session)
    client.v1.refunds.create({"payment_intent": intent, "amount": 400})

    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        client.v1.refunds.create({"payment_intent": intent, "amount": 601})
    client.v1.refunds.create({"payment_intent": intent})
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"payment_intent": intent})

    assert refused.value.code == "charge_already_refunded"
    assert [refund.amount for refund in client.v1.refunds.list().data] == [600, 400]


def test_disputed_charge_is_not_refunded(
    stripe_sandbox: RunningSandbox, client: stripe.StripeClient, open_session: Any
) -> None:
    intent = _paid(client, stripe_sandbox, open_session)
    stripe_sandbox.control("POST", "/stripe/dispute", payment_intent=intent)

    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"payment_intent": intent})

    assert refused.value.code == "charge_disputed"
    (dispute,) = client.v1.disputes.list({"payment_intent": intent}).data
    assert (dispute.status, dispute.amount) == ("needs_response", 1000)
    front = stripe_sandbox.ask("GET", "/").body.decode()
    assert f"<code>{intent}</code>" in front
    assert f"<td>succeeded, {dispute.id} needs_response</td>" in front


def test_payout_is_the_sum_of_its_lines(
    stripe_sandbox: RunningSandbox, client: stripe.StripeClient, open_session: Any
) -> None:
    intents = [_paid(client, stripe_sandbox, open_session) for _ in range(3)]
    client.v1.refunds.create({"payment_intent": intents[0], "amount": 400})

    stripe_sandbox.control("POST", "/stripe/payout")

    (payout,) = client.v1.payouts.list().data
    lines = list(client.v1.balance_transactions.list({"payout": payout.id}).auto_paging_iter())
    assert sorted((line.type, line.amount, line.fee, line.net) for line in lines) == [
        ("charge", 1000, 59, 941),
        ("charge", 1000, 59, 941),
        ("charge", 1000, 59, 941),
        ("payout", -2423, 0, -2423),
        ("refund", -400, 0, -400),
    ]
    assert payout.amount == 2423
    assert stripe_sandbox.control("POST", "/stripe/payout") == {"payouts": []}


def test_lists_go_on_where_a_page_ends(client: stripe.StripeClient, open_session: Any) -> None:
    made = [open_session().id for _ in range(5)]

    paged = [
        session.id for session in client.v1.checkout.sessions.list({"limit": 2}).auto_paging_iter()
    ]
    later = client.v1.checkout.sessions.list({"created": {"gt": int(time.time()) + 60}})

    assert paged == made[::-1]
    assert later.data == []


@pytest.mark.parametrize(
    ("verb", "given", "status"),
    [
        ("luck", {}, 404),
        ("dispute", {"payment_intent": "pi_none"}, 404),
        ("clear", {"session": "cs_none"}, 404),
    ],
)
def test_dashboard_refuses_what_there_is_not(
    stripe_sandbox: RunningSandbox, verb: str, given: dict[str, str], status: int
) -> None:
    answer = stripe_sandbox.ask(
        "POST",
        f"/control/stripe/{verb}",
        json.dumps(given).encode(),
        {"Content-Type": "application/json"},
    )

    assert answer.status == status
