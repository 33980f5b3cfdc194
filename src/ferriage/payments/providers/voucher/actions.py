"""Vouchers: codes worth one term of one plan, issued in batches, used once.

Issuing a sold batch books what was paid for it as owed (`liabilities:vouchers`). Redemption
moves that to the order. What the order costs beyond it is a promotion (all of it, for a free
batch); what was paid beyond today's price is income at once.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage.core import audit, codes
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.hashing import hash_secret
from ferriage.core.money import Money
from ferriage.ledger.actions import TransferLine, post
from ferriage.orders.actions import Refused, settle
from ferriage.orders.models import Order
from ferriage.orders.owedmodels import OwedTo
from ferriage.payments import gifts
from ferriage.payments.capture import Captured, change_once, finish, post_receipt
from ferriage.payments.models import Gift, Payment, Voucher, VoucherBatch
from ferriage.payments.providers.voucher.quota import check_quota
from ferriage.plans.queries import is_closed

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.payments.models import Reseller
    from ferriage.plans.models import Plan

PROVIDER: Final = "voucher"
MOST_CODES: Final = 10_000


class WrongVoucher(FerriageError):
    """There is no such voucher."""

    slug = "wrong-voucher"
    status = 422


class UsedVoucher(FerriageError):
    """The voucher was used before."""

    slug = "used-voucher"


class VoucherGone(FerriageError):
    """The voucher was not used and cannot be any more: taken back, or past its last day."""

    slug = "voucher-gone"


class VoucherForOtherPlan(FerriageError):
    """The voucher is for another plan or term than the order's."""

    slug = "voucher-for-other-plan"


class VoucherNotTaken(FerriageError):
    """The order cannot be settled, and `verdict` says why; the voucher stays unused."""

    slug = "voucher-not-taken"

    def __init__(self, refused: Refused) -> None:
        super().__init__(
            _("This order cannot be paid any more."),
            _("Your voucher was not used. Place a new order."),
        )
        self.reason = refused.reason
        self.verdict = refused.verdict


class BatchWrong(FerriageError):
    """A batch that cannot be issued."""

    slug = "batch-wrong"
    status = 422


@dataclass(frozen=True, slots=True)
class IssuedBatch:
    """A batch and its codes, which are never to be had again."""

    batch: VoucherBatch
    codes: list[str]


def issue_vouchers(  # noqa: PLR0913 -- what a batch is made of
    *,
    name: str,
    plan: Plan,
    term_months: int,
    money: Money,
    count: int,
    kind: str,
    paid_per_code: Money,
    reseller: Reseller | None = None,
    expires_at: datetime | None = None,
    now: datetime,
    actor: Actor,
) -> IssuedBatch:
    """Issue a batch; a sold one is owed to whoever holds codes.

    It is booked as money in the bank, or as what the reseller owes for it.

    Args:
        money: What one code is worth, the plan's price for the term.
        kind: `sold` or `free`.
        paid_per_code: What was paid for one code, or is to be by a reseller; 0 for a free batch.
        expires_at: Codes pay nothing from then on.

    Raises:
        BatchWrong: No name or term, a count out of range, amounts that do not fit the kind, a day
            that has passed, or a plan of a closed service.
        QuotaPassed: The reseller would hold more than they may without having paid.
    """
    _check_batch(name, term_months, count, kind, money, paid_per_code)
    if expires_at is not None and expires_at <= now:
        raise BatchWrong(_("The last day of the codes has passed."), _("Choose a later one."))
    if is_closed(plan):
        raise BatchWrong(
            _("This plan belongs to a closed service, which takes no vouchers."),
            _("Invite its people by name."),
        )
    made = [codes.random_characters() for _number in range(count)]
    with writing():
        if reseller is not None:
            reseller = check_quota(reseller, paid_per_code, count)
        batch = VoucherBatch.objects.create(
            name=name,
            plan=plan,
            term_months=term_months,
            amount_minor=money.amount_minor,
            currency=money.currency,
            kind=kind,
            paid_per_code_minor=paid_per_code.amount_minor,
            count=count,
            issued_at=now,
            reseller=reseller,
            expires_at=expires_at,
        )
        Voucher.objects.bulk_create(
            [Voucher(batch=batch, code_hash=hash_secret("voucher", code)) for code in made],
            batch_size=500,
        )
        if kind == VoucherBatch.Kind.SOLD:
            total = Money(paid_per_code.amount_minor * count, paid_per_code.currency)
            post(
                source_code=batch.code,
                kind="issued",
                transfers=[TransferLine(_payer(reseller), "liabilities:vouchers", total)],
                description=f"Voucher batch {batch.code}: {count} codes",
                now=now,
            )
        audit.record(
            now=now,
            actor=actor,
            action="vouchers.issued",
            subject=batch.code,
            count=count,
            kind=kind,
            paid_per_code=str(paid_per_code),
            reseller=reseller.code if reseller else "",
        )
    return IssuedBatch(batch, made)


def _payer(reseller: Reseller | None) -> str:
    return reseller.receivable if reseller else "assets:bank"


def redeem_voucher(*, order: Order, code: str, now: datetime, actor: Actor) -> Captured:
    """Pay an order with a voucher: voucher, payment, books and term in one transaction.

    Repeating it for the same order answers `duplicate` and changes nothing.

    Raises:
        WrongVoucher: No such code.
        UsedVoucher: It paid another order.
        VoucherGone: It was taken back, or is past its last day.
        VoucherForOtherPlan: It is for another plan, term or currency.
        VoucherNotTaken: The order cannot be settled; the voucher stays unused.
    """
    with writing():
        voucher = _voucher(code)
        order = Order.objects.select_related("plan__service").get(pk=order.pk)
        if voucher.payment is not None:
            if voucher.payment.order_id == order.pk:
                return Captured(voucher.payment, "duplicate", "settled")
            raise UsedVoucher(_("This voucher was used before."), _("Each one pays one order."))
        _check_there(voucher, now)
        _check_fits(voucher.batch, order)
        payment = _take(voucher, order, now)
        paid = _post(payment, voucher.batch, order, now)
        result = settle(
            order=order,
            refundable_minor=min(paid, order.due_minor),
            owed_to=_owed_to(voucher),
            now=now,
            actor=actor,
        )
        if isinstance(result, Refused):
            raise VoucherNotTaken(result)
        finish(payment, outcome="settled", now=now, actor=actor)
    return Captured(payment, "settled")


def _owed_to(voucher: Voucher) -> str:
    """Return who paid for a code, and so is owed what is unused of what it pays."""
    if Gift.objects.filter(voucher=voucher).exists():
        return OwedTo.GIVER
    batch = voucher.batch
    is_resold = batch.reseller_id is not None and batch.kind == VoucherBatch.Kind.SOLD
    return OwedTo.RESELLER if is_resold else OwedTo.PAYER


def _voucher(code: str) -> Voucher:
    plain = codes.normalise(code)
    found = (
        Voucher.objects.filter(code_hash=hash_secret("voucher", plain))
        .select_related("batch__plan__service", "payment")
        .first()
        if codes.is_code(plain)
        else None
    )
    if found is None:
        raise WrongVoucher(
            _("There is no voucher with this code."),
            _("Look again at its 16 characters."),
        )
    return found


def _check_there(voucher: Voucher, now: datetime) -> None:
    if voucher.reversal_id is not None:
        raise VoucherGone(
            _("This voucher was taken back."), _("Ask whoever sold it to you for another one.")
        )
    given = Gift.objects.select_related("order").filter(voucher=voucher).first()
    if given is not None and gifts.is_disputed(given.order):
        raise VoucherGone(
            _("The payment for this gift is disputed, so its code waits."),
            _("Ask whoever gave it to you."),
        )
    if voucher.batch.expires_at is not None and voucher.batch.expires_at <= now:
        raise VoucherGone(
            _("This voucher could be used until %s.") % f"{voucher.batch.expires_at:%Y-%m-%d}",
            _("Ask whoever sold it to you."),
        )


def _check_fits(batch: VoucherBatch, order: Order) -> None:
    same = (batch.plan_id, batch.term_months, batch.currency)
    if same != (order.plan_id, order.term_months, order.currency):
        raise VoucherForOtherPlan(
            _("This voucher is for %(months)d months of %(plan)s of %(service)s.")
            % {
                "months": batch.term_months,
                "plan": batch.plan.name,
                "service": batch.plan.service.name,
            },
            _("Order that, and it pays. It was not used."),
        )
    if order.kind != order.Kind.TERM:
        raise VoucherForOtherPlan(
            _("A voucher pays a term, and no gift, change of plan or addition."),
            _("Pay this another way. The voucher was not used."),
        )
    if order.discount_minor or order.credit_minor or order.value_minor:
        raise VoucherForOtherPlan(
            _("This voucher pays a whole order, without a coupon or a part from your balance."),
            _("Order anew without them, and it pays. It was not used."),
        )


def _take(voucher: Voucher, order: Order, now: datetime) -> Payment:
    payment = Payment.objects.create(
        order=order,
        provider=PROVIDER,
        state=Payment.State.CAPTURED,
        amount_minor=order.due_minor,
        currency=order.currency,
        transaction_id=f"{voucher.batch.code}/{voucher.pk}",
        received_minor=order.due_minor,
        created_at=now,
        captured_at=now,
    )
    unused = Voucher.objects.filter(pk=voucher.pk, used_at=None, reversal=None)
    taken = unused.update(used_at=now, payment=payment)
    change_once(taken)
    return payment


def _post(payment: Payment, batch: VoucherBatch, order: Order, now: datetime) -> int:
    """Post the receipt at what is due of the order; returns what was paid for the code."""
    paid = batch.paid_per_code_minor
    price = order.due_minor
    sources = [
        ("liabilities:vouchers", min(paid, price)),
        ("expenses:promotions", max(price - paid, 0)),
    ]
    if price:
        post_receipt(payment, from_accounts=sources, now=now)
    if paid > price:
        surplus = Money(paid - price, batch.currency)
        post(
            source_code=payment.code,
            kind="surplus",
            transfers=[TransferLine("liabilities:vouchers", "income:vouchers", surplus)],
            description=f"Payment {payment.code}: paid above today's price",
            now=now,
        )
    return paid


def _check_batch(
    name: str, term_months: int, count: int, kind: str, money: Money, paid: Money
) -> None:
    if not name.strip() or term_months < 1 or not 1 <= count <= MOST_CODES:
        raise BatchWrong(
            _("A batch needs a name, a term, and 1 to %(most)d codes.") % {"most": MOST_CODES}
        )
    sold = kind == VoucherBatch.Kind.SOLD
    if kind not in VoucherBatch.Kind.values or sold != (paid.amount_minor > 0):
        raise BatchWrong(
            _("A sold batch has an amount paid for each code, a free one has none."),
            _("Nothing was issued."),
        )
    if paid.currency != money.currency or money.amount_minor < 0:
        raise BatchWrong(_("Worth and payment of a code are in one currency and not below zero."))
