"""Stripe's own books: the lines of its payouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ferriage.core.clock import from_unix
from ferriage.payments.providers.contract import SettlementRow
from ferriage.payments.providers.stripe.amounts import from_stripe
from ferriage.payments.providers.stripe.client import asking

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Literal

    from stripe import StripeClient

    Object = Mapping[str, Any]

_KINDS: Final[dict[str, Literal["charge", "refund", "dispute", "fee", "payout", "other"]]] = {
    "charge": "charge",
    "payment": "charge",
    "refund": "refund",
    "payment_refund": "refund",
    "refund_failure": "refund",
    "payment_failure_refund": "refund",
    "payout": "payout",
    "stripe_fee": "fee",
    "tax_fee": "fee",
}
_PAGE: Final = 100


def rows(client: StripeClient, since: datetime) -> list[SettlementRow]:
    """Return the lines of every payout that was made since an instant, oldest first.

    Stripe says which lines are in a payout for automatic ones only; one that somebody made by hand
    in the dashboard is a line without others.

    Raises:
        ProviderDown: Stripe does not answer.
    """
    import stripe

    found: list[SettlementRow] = []
    given: Any = {"created": {"gte": int(since.timestamp())}, "status": "paid", "limit": _PAGE}
    with asking():
        payouts = list(client.v1.payouts.list(given).auto_paging_iter())
    for payout in reversed(payouts):
        query: Any = {"payout": payout.id, "expand": ["data.source"], "limit": _PAGE}
        with asking():
            try:
                lines = list(client.v1.balance_transactions.list(query).auto_paging_iter())
            except stripe.InvalidRequestError:
                lines = []
        found += [_row(line.to_dict(), payout.id) for line in reversed(lines)]
    return found


def _row(line: Object, payout: str) -> SettlementRow:
    source = line["source"] if isinstance(line["source"], dict) else {}
    is_dispute = source.get("object") == "dispute"
    currency = line["currency"]
    gross = from_stripe(line["amount"], currency)
    return SettlementRow(
        row_id=line["id"],
        kind="dispute" if is_dispute else _KINDS.get(line["type"], "other"),
        reference=source.get("payment_intent") or ""
        if source.get("object") == "charge"
        else source.get("id") or str(line["source"] or ""),
        gross_minor=gross.amount_minor,
        fee_minor=from_stripe(line["fee"], currency).amount_minor,
        net_minor=from_stripe(line["net"], currency).amount_minor,
        currency=gross.currency,
        at=from_unix(line["created"]),
        payout=payout,
    )
