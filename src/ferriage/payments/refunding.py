"""Refunds that a provider over the net pays: sent in the worker, each to one outcome.

    queued ── writing ── sent ── commit ── provider.refund(code as key) ── writing ── paid
                           └── crash: asked again, with the same code, until it is final

Source: docs/explanation/money.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from django.db.models import F, Q

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money
from ferriage.ledger.actions import TransferLine, post
from ferriage.payments import bounds
from ferriage.payments.capture import change_once
from ferriage.payments.models import Refund
from ferriage.payments.providers import registry
from ferriage.payments.providers.contract import ProviderDown
from ferriage.payments.schedule import next_ask

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.payments.providers.contract import RefundResult

PAGE: Final = 50
State = Refund.State
log = structlog.get_logger()


def send_due(*, now: datetime, actor: Actor) -> int:
    """Let providers pay back what is queued, and ask about what was sent; returns how many ended.

    A provider that does not answer is left alone for this time.
    """
    down: set[int | None] = set()
    ended = 0
    for refund in _due(now):
        if refund.payment.account_id in down:
            continue
        try:
            ended += send(refund=refund, now=now, actor=actor).state in {State.PAID, State.BY_HAND}
        except ProviderDown:
            down.add(refund.payment.account_id)
        except FerriageError as refusal:
            log.warning("refund.refused", refund=refund.code, reason=refusal.slug)
    return ended


def send(*, refund: Refund, now: datetime, actor: Actor) -> Refund:
    """Ask the provider to pay a refund, or what became of it; not to be called in a transaction.

    Raises:
        MoreThanCame: Its payer took back so much that less is left.
        StaleState: Another worker asks now, or it ended.
        ProviderDown: Nobody answers; it is asked again when it is due.
    """
    with writing():
        asked = Refund.objects.filter(pk=refund.pk, state=refund.state, asked=refund.asked)
        still = asked.filter(state__in=[State.QUEUED, State.SENT])
        change_once(
            still.update(state=State.SENT, asked=F("asked") + 1, ask_at=next_ask(refund.asked, now))
        )
        if refund.state == State.QUEUED:
            bounds.check(refund)
        refund = Refund.objects.select_related("payment__account").get(pk=refund.pk)
    result = registry.of_payment(refund.payment).refund(refund)
    return note(refund=refund, result=result, now=now, actor=actor)


def note(*, refund: Refund, result: RefundResult, now: datetime, actor: Actor) -> Refund:
    """Note what became of a refund that was sent, once: by its answer or by a callback."""
    with writing():
        sent = Refund.objects.filter(pk=refund.pk, state=State.SENT)
        if result.state == "paid":
            _paid(refund, sent.update(**_paid_fields(result, now)), now, actor)
        elif result.state in {"failed", "by-hand"} and sent.update(
            state=State.BY_HAND, note=result.reason[:200], ask_at=None
        ):
            audit.record(now=now, actor=actor, action="refund.by-hand", subject=refund.code)
            refund.refresh_from_db()
            bounds.cut_down(refund=refund, now=now, actor=actor)
        elif result.state == "pending" and result.claim_url:
            sent.update(claim_url=result.claim_url)
    refund.refresh_from_db()
    return refund


def _due(now: datetime) -> list[Refund]:
    """Return the refunds to send or to ask about, of providers over the net.

    A payment that is disputed goes back by the dispute or not at all, so its refund waits.
    """
    due = Q(state=State.QUEUED) & bounds.may_go_by_itself()
    due |= Q(state=State.SENT)
    rows = Refund.objects.filter(due, payment__account__isnull=False)
    ready = rows.exclude(ask_at__gt=now).select_related("payment__account")
    return list(ready.order_by("pk")[:PAGE])


def _paid_fields(result: RefundResult, now: datetime) -> dict[str, object]:
    reference = result.reference[:200]
    return {"state": State.PAID, "paid_at": now, "paid_reference": reference, "ask_at": None}


def _paid(refund: Refund, changed: int, now: datetime, actor: Actor) -> None:
    if not changed:
        return
    account = refund.payment.account
    assert account is not None  # noqa: S101 -- only refunds of providers over the net are sent
    money = Money(refund.amount_minor, refund.currency)
    post(
        source_code=refund.code,
        kind="refund-paid",
        transfers=[TransferLine("liabilities:refunds", account.asset, money)],
        description=f"Refund {refund.code} of payment {refund.payment.code}",
        now=now,
    )
    audit.record(now=now, actor=actor, action="refund.paid", subject=refund.code, amount=str(money))
