"""Resellers: added, paid by, shown their own page; codes taken back from them or written off.

Source: docs/how-to/resellers.md
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from django.db import IntegrityError
from django.utils.translation import gettext_lazy as _

from ferriage.core import audit, codes
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.hashing import hash_secret, new_token
from ferriage.core.money import Money, exponent, is_currency
from ferriage.ledger.actions import TransferLine, post
from ferriage.payments import suspense
from ferriage.payments.capture import change_once
from ferriage.payments.models import (
    BatchReversal,
    Payment,
    Reseller,
    ResellerPayment,
    Voucher,
    VoucherBatch,
)
from ferriage.payments.providers.bank import numbers
from ferriage.payments.providers.bank.reference import new_reference
from ferriage.payments.providers.voucher import queries
from ferriage.payments.providers.voucher.quota import ResellerWrong

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ferriage.core.actors import Actor

LONGEST: Final = 200
_SLUG: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_WHOLE_BP: Final = 10_000


class NotVoidable(FerriageError):
    """Codes that cannot be taken back or written off."""

    slug = "not-voidable"


def add_reseller(
    *,
    slug: str,
    name: str,
    currency: str,
    discount_bp: int = 0,
    quota_codes: int | None = None,
    quota_minor: int | None = None,
    now: datetime,
    actor: Actor,
) -> Reseller:
    """Add somebody who sells codes. Their name in the books is `slug`, for ever.

    Args:
        discount_bp: Basis points off a code's worth that a batch proposes as its price.

    Raises:
        ResellerWrong: Empty, of no currency, or a short name that is taken.
    """
    if not name.strip() or not _SLUG.fullmatch(slug) or len(slug) > 40 or not is_currency(currency):  # noqa: PLR2004 -- the column's length
        raise ResellerWrong(
            _("A reseller needs a name, a currency, and a short name of letters and digits.")
        )
    _check_terms(discount_bp, quota_codes, quota_minor)
    try:
        with writing():
            reseller = Reseller.objects.create(
                slug=slug,
                name=name.strip(),
                currency=currency,
                discount_bp=discount_bp,
                quota_codes=quota_codes,
                quota_minor=quota_minor,
                reference=new_reference(),
                added_at=now,
            )
            audit.record(
                now=now, actor=actor, action="reseller.added", subject=reseller.code, slug=slug
            )
    except IntegrityError as error:
        raise ResellerWrong(
            _("There is a reseller of this short name."), _("Choose another one.")
        ) from error
    return reseller


def set_terms(
    *,
    reseller: Reseller,
    discount_bp: int,
    quota_codes: int | None,
    quota_minor: int | None,
    now: datetime,
    actor: Actor,
) -> Reseller:
    """Set discount and quota; batches that were issued stay as they are.

    Raises:
        ResellerWrong: Out of range.
    """
    _check_terms(discount_bp, quota_codes, quota_minor)
    with writing():
        Reseller.objects.filter(pk=reseller.pk).update(
            discount_bp=discount_bp, quota_codes=quota_codes, quota_minor=quota_minor
        )
        audit.record(
            now=now,
            actor=actor,
            action="reseller.terms-set",
            subject=reseller.code,
            discount_bp=discount_bp,
            quota_codes=quota_codes,
            quota_minor=quota_minor,
        )
    reseller.refresh_from_db()
    return reseller


def price_of(reseller: Reseller, worth: Money) -> Money:
    """Return what a code of some worth costs them by their discount, rounded up."""
    minor = -(-worth.amount_minor * (_WHOLE_BP - reseller.discount_bp) // _WHOLE_BP)
    return Money(minor, worth.currency)


def book_by_hand(
    *,
    reseller: Reseller,
    money: Money,
    transaction_id: str,
    limit: int,
    note: str = "",
    now: datetime,
    actor: Actor,
) -> ResellerPayment:
    """Book what a member of staff says that a reseller paid, unless the money was booked before.

    Args:
        limit: Whole units of the currency; more than that is a receipt, with its second person.

    Raises:
        ResellerWrong: As `book_payment`, or above the limit, or booked as anything else.
    """
    if money.amount_minor > limit * 10 ** exponent(money.currency):
        raise ResellerWrong(
            _("This is above the limit, so it needs evidence and a second person."),
            _(
                "Enter it under “Book a receipt”. When it is confirmed, give it to the reseller "
                "with “They paid without the reference”."
            ),
        )
    with writing():
        if numbers.typed(transaction_id) or numbers.lines(transaction_id).exists():
            raise ResellerWrong(
                _("Money of this number was booked before."),
                _(
                    "If it waits without an order, give it to the reseller with “They paid "
                    "without the reference”; nothing was booked now."
                ),
            )
        return book_payment(
            reseller=reseller,
            money=money,
            transaction_id=numbers.plain(transaction_id),
            note=note,
            now=now,
            actor=actor,
        )


def book_payment(
    *,
    reseller: Reseller,
    money: Money,
    transaction_id: str,
    book_account: str = "assets:bank",
    note: str = "",
    now: datetime,
    actor: Actor,
) -> ResellerPayment:
    """Book what a reseller paid against what they owe; a number is booked once.

    Raises:
        ResellerWrong: More than they owe, nothing, or a number that was booked before.
    """
    number = transaction_id.strip()
    if not number or len(number) > 140 or len(note) > LONGEST:  # noqa: PLR2004 -- the columns' length
        raise ResellerWrong(_("A payment needs the bank's number of it."))
    with writing():
        owed = queries.held(reseller).owed_minor
        if money.currency != reseller.currency or not 0 < money.amount_minor <= owed:
            raise ResellerWrong(
                _("%(name)s owes %(owed)s, so %(money)s cannot be for codes.")
                % {
                    "name": reseller.name,
                    "owed": Money(owed, reseller.currency),
                    "money": money,
                },
                _("Book what is owed, and send the rest back."),
            )
        if ResellerPayment.objects.filter(
            book_account=book_account, transaction_id=number
        ).exists():
            raise ResellerWrong(_("A payment of this number was booked before."))
        payment = ResellerPayment.objects.create(
            reseller=reseller,
            amount_minor=money.amount_minor,
            currency=money.currency,
            book_account=book_account,
            transaction_id=number,
            note=note.strip(),
            booked_by=actor.code,
            at=now,
        )
        post(
            source_code=payment.code,
            kind="reseller-paid",
            transfers=[TransferLine(book_account, reseller.receivable, money)],
            description=f"Payment {payment.code} of reseller {reseller.slug}",
            now=now,
        )
        audit.record(
            now=now,
            actor=actor,
            action="reseller.paid",
            subject=reseller.code,
            payment=payment.code,
            amount=str(money),
        )
    return payment


def apply_unallocated(
    *, payment: Payment, reseller: Reseller, now: datetime, actor: Actor
) -> ResellerPayment:
    """Give money that came without a usable reference to the reseller who paid it.

    Raises:
        NotAssignable: Its payer took it back, or a part of it, or may be.
        ResellerWrong: More than they owe, or another currency.
        StaleState: It is not unallocated any more.
    """
    with writing():
        return book_payment(
            reseller=reseller,
            money=suspense.take_whole(payment, outcome="reseller"),
            transaction_id=payment.code,
            book_account="liabilities:unallocated",
            now=now,
            actor=actor,
        )


def make_link(*, reseller: Reseller, now: datetime, actor: Actor) -> str:
    """Return the token of a new link to a reseller's own page; the earlier one ends."""
    token = new_token()
    with writing():
        Reseller.objects.filter(pk=reseller.pk).update(token_hash=hash_secret("reseller", token))
        audit.record(now=now, actor=actor, action="reseller.link-made", subject=reseller.code)
    return token


def end_link(*, reseller: Reseller, now: datetime, actor: Actor) -> None:
    """End the link to a reseller's own page."""
    with writing():
        Reseller.objects.filter(pk=reseller.pk).update(token_hash=None)
        audit.record(now=now, actor=actor, action="reseller.link-ended", subject=reseller.code)


def void_codes(
    *,
    batch: VoucherBatch,
    typed: Sequence[str] = (),
    reason: str,
    now: datetime,
    actor: Actor,
) -> BatchReversal:
    """Take unsold codes of a batch back: those typed, or every unused one. Its posting is reversed.

    Raises:
        NotVoidable: None is left, one typed is not an unused code of the batch, or they are paid
            for.
    """
    with writing():
        batch = VoucherBatch.objects.select_related("reseller").get(pk=batch.pk)
        gone = _chosen(batch, typed)
        minor = batch.paid_per_code_minor * len(gone)
        owed = queries.held(batch.reseller).owed_minor if batch.reseller else 0
        if minor > owed:
            raise NotVoidable(
                _("These codes are paid for, so they are owed to whoever holds them."),
                _("Take back only what is not paid yet; expired codes can be written off."),
            )
        account = batch.reseller.receivable if batch.reseller else ""
        return _reverse(batch, gone, BatchReversal.Kind.VOID, account, reason, now, actor)


def write_off(*, batch: VoucherBatch, reason: str, now: datetime, actor: Actor) -> BatchReversal:
    """Make income of what was paid for codes that expired unused, and say why.

    Raises:
        NotVoidable: The batch has not expired, or no code is left.
    """
    with writing():
        batch = VoucherBatch.objects.get(pk=batch.pk)
        if batch.expires_at is None or batch.expires_at > now:
            raise NotVoidable(_("Codes of this batch can still be used."), _("Nothing was posted."))
        gone = _chosen(batch, ())
        kind = BatchReversal.Kind.WRITE_OFF
        return _reverse(batch, gone, kind, "income:vouchers", reason, now, actor)


def _chosen(batch: VoucherBatch, typed: Sequence[str]) -> list[int]:
    """Return the keys of unused codes: of those typed, or of all."""
    unused = queries.unused(batch)
    if typed:
        wanted = {hash_secret("voucher", codes.normalise(code)) for code in typed}
        unused = unused.filter(code_hash__in=wanted)
        if unused.count() != len(wanted):
            raise NotVoidable(
                _("Not every one of these is an unused code of the batch."),
                _("Look again; none was taken back."),
            )
    keys = list(unused.values_list("pk", flat=True))
    if not keys:
        raise NotVoidable(_("No code of this batch is left."))
    return keys


def _reverse(
    batch: VoucherBatch,
    gone: list[int],
    kind: str,
    account: str,
    reason: str,
    now: datetime,
    actor: Actor,
) -> BatchReversal:
    if not 0 < len(reason.strip()) <= LONGEST:
        raise NotVoidable(_("Say why, in at most 200 characters."))
    money = Money(batch.paid_per_code_minor * len(gone), batch.currency)
    reversal = BatchReversal.objects.create(
        batch=batch,
        kind=kind,
        count=len(gone),
        amount_minor=money.amount_minor,
        reason=reason.strip(),
        done_by=actor.code,
        at=now,
    )
    taken = Voucher.objects.filter(batch=batch, pk__in=gone, used_at=None, reversal=None)
    change_once(int(taken.update(reversal=reversal) == len(gone)))
    if money.amount_minor:
        post(
            source_code=reversal.code,
            kind=kind.replace("_", "-"),
            transfers=[TransferLine("liabilities:vouchers", account, money)],
            description=f"{len(gone)} codes of batch {batch.code}: {kind}",
            now=now,
        )
    audit.record(
        now=now,
        actor=actor,
        action=f"vouchers.{kind.replace('_', '-')}",
        subject=batch.code,
        count=len(gone),
        reason=reason.strip(),
    )
    return reversal


def _check_terms(discount_bp: int, quota_codes: int | None, quota_minor: int | None) -> None:
    quotas = (quota_codes or 0, quota_minor or 0)
    if not 0 <= discount_bp < _WHOLE_BP or min(quotas) < 0:
        raise ResellerWrong(_("A discount is below 100 %, and a quota not below zero."))
