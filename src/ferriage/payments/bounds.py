"""The one rule of money that goes back: never more of a payment than came by it.

    what came = refunds + what its payer took back for good + what is left

Refunds are all that were queued: those that wait, were sent, are paid by hand, or are paid. What a
dispute paid of them counts with the dispute. Who took back what had gone back before
took more than came, and the rest is a loss; but nothing that waits is then paid any more.

Source: docs/decisions/0066-no-more-than-came.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.models import Exists, F, IntegerField, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money
from ferriage.ledger import queries as ledger
from ferriage.ledger.actions import TransferLine, post
from ferriage.payments.capture import change_once
from ferriage.payments.models import Dispute, Payment, Refund

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.db.models import Model, QuerySet
    from django.db.models.expressions import CombinedExpression

    from ferriage.core.actors import Actor

State = Refund.State
LOSSES: Final = "expenses:disputes"
WAITS: Final = (State.QUEUED, State.BY_HAND)


class MoreThanCame(FerriageError):
    """More would go back of a payment than came by it."""

    slug = "more-than-came"


def left_of(payment: Payment) -> int:
    """Return what of a payment may still go back; below 0 where its payer took it twice."""
    mine = Payment.objects.filter(pk=payment.pk).annotate(left_minor=_left())
    return int(mine.values_list("left_minor", flat=True).get())


def lefts_of(payments: Iterable[Payment]) -> dict[int, int]:
    """Return what of each of some payments may still go back, by their keys."""
    some = Payment.objects.filter(pk__in=[payment.pk for payment in payments])
    return dict(some.annotate(left_minor=_left()).values_list("pk", "left_minor"))


def overdrawn() -> QuerySet[Payment]:
    """Return payments of which more was refunded than came, or waits to be; there may be none.

    What had gone before its payer took it too is a loss, and no mistake of ours.
    """
    took = Dispute.objects.filter(payment=OuterRef("pk"), state=Dispute.State.LOST)
    waits = Refund.objects.filter(payment=OuterRef("pk"), dispute=None, state__in=WAITS)
    over = Payment.objects.annotate(left_minor=_left()).filter(left_minor__lt=0)
    return over.filter(Exists(waits) | ~Exists(took))


def gone_twice() -> dict[int, int]:
    """Return of which payments more went than came, by their keys, and how much more.

    It was sent back by us, and its payer took it too.
    """
    took = Dispute.objects.filter(state=Dispute.State.LOST).values("payment")
    over = Payment.objects.filter(pk__in=took).annotate(left_minor=_left())
    rows = over.filter(left_minor__lt=0).order_by("pk").values_list("pk", "left_minor")
    return {pk: -left for pk, left in rows}


def check(refund: Refund) -> None:
    """Refuse to let a refund go out that is more than is left for it.

    Raises:
        MoreThanCame: It is more.
    """
    if left_of(refund.payment) < 0:
        raise MoreThanCame(
            _("The payer took back so much that less is left than this refund."),
            _("Look at the payment's order; nothing was sent."),
        )


def may_go_by_itself(payment: str = "payment", order: str = "payment__order") -> Q:
    """Return the condition that nobody may be taking back the payment of refunds.

    Nor, by a bank's recall, another payment of its order: it may turn out to be this one.

    Args:
        payment: Where the payment stands in what is asked; of payments themselves it is `pk`.
        order: Where its order stands.
    """
    still = Dispute.objects.filter(state=Dispute.State.OPEN)
    recalled = still.filter(account=None, payment__order__isnull=False).values("payment__order")
    return ~Q((f"{payment}__in", still.values("payment"))) & (
        Q((order, None)) | ~Q((f"{order}__in", recalled))
    )


def pay_by_dispute(
    *, refund: Refund, dispute: Dispute, most: int, asset: str, now: datetime, actor: Actor
) -> int:
    """Let a dispute that was lost pay a refund that waits, or a part of it; returns how much.

    The rest goes on waiting. In the caller's transaction.

    Args:
        asset: The account of the books that it is paid from.
    """
    parted = refund.amount_minor > most
    paid = _parted(refund, dispute, most, now, actor) if parted else refund
    changed = Refund.objects.filter(pk=paid.pk, state__in=WAITS).update(
        state=State.PAID,
        dispute=dispute,
        paid_at=now,
        paid_reference=dispute.code,
        ask_at=None,
    )
    change_once(changed)
    post(
        source_code=paid.code,
        kind="refund-paid",
        transfers=[
            TransferLine("liabilities:refunds", asset, Money(paid.amount_minor, paid.currency))
        ],
        description=f"Refund {paid.code}, taken by dispute {dispute.code}",
        sequence=paid_before(paid),
        now=now,
    )
    audit.record(now=now, actor=actor, action="refund.disputed", subject=paid.code)
    return paid.amount_minor


def cut_down(*, refund: Refund, now: datetime, actor: Actor) -> None:
    """Let a refund that waits again be no more than is left: what its payer took went by that.

    It had been sent or paid when the dispute was lost, so all of it was booked as a loss then.
    """
    over = -left_of(refund.payment)
    if over <= 0:
        return
    lost = Dispute.objects.filter(payment=refund.payment, state=Dispute.State.LOST)
    dispute = lost.order_by("-closed_at", "-pk").first()
    if dispute is not None:
        most = min(over, refund.amount_minor)
        pay_by_dispute(
            refund=refund, dispute=dispute, most=most, asset=LOSSES, now=now, actor=actor
        )


def paid_before(refund: Refund) -> int:
    """Return how often a refund was paid before, and came back."""
    return ledger.posted(source_codes=[refund.code], kind="refund-paid")[refund.code].count


def _parted(whole: Refund, dispute: Dispute, minor: int, now: datetime, actor: Actor) -> Refund:
    """Let two refunds stand in the place of one that waits; returns that which the dispute pays.

    What is owed never changes, so there is no way to lower it.
    """
    state = whole.state
    change_once(
        Refund.objects.filter(pk=whole.pk, state=state).update(state=State.REPLACED, ask_at=None)
    )
    part, rest = (
        Refund.objects.create(
            kind=whole.kind,
            payment=whole.payment,
            amount_minor=amount,
            currency=whole.currency,
            reason=whole.reason,
            state=state,
            dispute=by,
            balance=whole.balance,
            created_at=whole.created_at,
            note=whole.note,
        )
        for amount, by in ((minor, dispute), (whole.amount_minor - minor, None))
    )
    audit.record(
        now=now,
        actor=actor,
        action="refund.parted",
        subject=whole.code,
        part=part.code,
        rest=rest.code,
    )
    return part


def _left() -> CombinedExpression:
    """Return what is left of each payment, to be asked with the payments."""
    refunds = Refund.objects.filter(dispute=None)
    lost = Dispute.objects.filter(state=Dispute.State.LOST)
    return Coalesce(F("received_minor"), 0) - _of_each(refunds) - _of_each(lost)


def _of_each(rows: QuerySet[Model]) -> Coalesce:
    """Return the sum of the amounts of rows of a payment, to be asked with the payments."""
    mine = rows.filter(payment=OuterRef("pk")).order_by().values("payment")
    sums = mine.annotate(total=Sum("amount_minor")).values("total")
    return Coalesce(Subquery(sums, output_field=IntegerField()), 0)
