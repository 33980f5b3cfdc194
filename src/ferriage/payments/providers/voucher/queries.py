"""What resellers hold and owe, as of now and month by month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from django.db.models import Count, F, Q, Sum

from ferriage.core.hashing import hash_secret
from ferriage.payments.models import (
    BatchReversal,
    Reseller,
    ResellerPayment,
    Voucher,
    VoucherBatch,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import QuerySet


@dataclass(frozen=True, slots=True)
class Held:
    """What a reseller holds without having paid: the newest codes are the unpaid ones."""

    owed_minor: int
    unpaid_codes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """A reseller's settlement statement of one month of UTC.

    `opening + issued - taken back - paid = closing`. What was redeemed is told, and changes
    nothing that is owed.
    """

    reseller: Reseller
    start: datetime
    end: datetime
    opening_minor: int
    issued_codes: int
    issued_minor: int
    void_codes: int
    void_minor: int
    paid_minor: int
    redeemed_codes: int
    batches: list[VoucherBatch]
    payments: list[ResellerPayment]

    @property
    def closing_minor(self) -> int:
        """What is owed at the month's end."""
        return self.opening_minor + self.issued_minor - self.void_minor - self.paid_minor


def held(reseller: Reseller) -> Held:
    """Return what a reseller holds unpaid, from batches, reversals and payments."""
    owed = _owed_before(reseller, None)
    left, unpaid = owed, 0
    sold = VoucherBatch.objects.filter(reseller=reseller, kind=VoucherBatch.Kind.SOLD)
    gone = Count("vouchers", filter=Q(vouchers__reversal__kind=BatchReversal.Kind.VOID))
    rows = sold.annotate(void=gone).order_by("-pk")
    for count, price, void in rows.values_list("count", "paid_per_code_minor", "void"):
        # What is owed covers the newest codes first: payments are for the oldest ones.
        covered = min(count - void, -(-left // price))
        unpaid += max(covered, 0)
        left -= covered * price
        if left <= 0:
            break
    return Held(owed, unpaid)


def batches_of(reseller: Reseller) -> QuerySet[VoucherBatch]:
    """Return a reseller's batches, newest first, with `used`, `void` and `written_off` codes."""
    return counted(VoucherBatch.objects.filter(reseller=reseller))


def counted(batches: QuerySet[VoucherBatch]) -> QuerySet[VoucherBatch]:
    """Return batches, newest first, with how many of their codes were used, or are gone."""
    kinds = BatchReversal.Kind
    return (
        batches.select_related("plan__service", "reseller")
        .annotate(
            used=Count("vouchers", filter=Q(vouchers__used_at__isnull=False)),
            void=Count("vouchers", filter=Q(vouchers__reversal__kind=kinds.VOID)),
            written_off=Count("vouchers", filter=Q(vouchers__reversal__kind=kinds.WRITE_OFF)),
        )
        .order_by("-pk")
    )


def unused(batch: VoucherBatch) -> QuerySet[Voucher]:
    """Return the codes of a batch that were neither used nor taken back."""
    return Voucher.objects.filter(batch=batch, used_at=None, reversal=None)


def by_token(token: str) -> Reseller | None:
    """Return whose private page a link opens, if anybody's."""
    found = Reseller.objects.filter(token_hash=hash_secret("reseller", token))
    return found.filter(closed_at=None).first()


def month(reseller: Reseller, year: int, number: int) -> Month:
    """Return the settlement statement of a month; a fixed number of queries."""
    start = datetime(year, number, 1, tzinfo=UTC)
    end = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    batches = list(batches_of(reseller).filter(issued_at__gte=start, issued_at__lt=end))
    sold = [batch for batch in batches if batch.kind == VoucherBatch.Kind.SOLD]
    voided = BatchReversal.objects.filter(
        batch__reseller=reseller, kind=BatchReversal.Kind.VOID, at__gte=start, at__lt=end
    ).aggregate(codes=Sum("count"), minor=Sum("amount_minor"))
    payments = list(
        ResellerPayment.objects.filter(reseller=reseller, at__gte=start, at__lt=end).order_by("pk")
    )
    return Month(
        reseller=reseller,
        start=start,
        end=end,
        opening_minor=_owed_before(reseller, start),
        issued_codes=sum(batch.count for batch in batches),
        issued_minor=sum(batch.count * batch.paid_per_code_minor for batch in sold),
        void_codes=voided["codes"] or 0,
        void_minor=voided["minor"] or 0,
        paid_minor=sum(payment.amount_minor for payment in payments),
        redeemed_codes=Voucher.objects.filter(
            batch__reseller=reseller, used_at__gte=start, used_at__lt=end
        ).count(),
        batches=batches,
        payments=payments,
    )


def months_of(reseller: Reseller, now: datetime) -> list[tuple[int, int]]:
    """Return the months from the first batch to now, newest first, as (year, month)."""
    first = VoucherBatch.objects.filter(reseller=reseller).order_by("pk").first()
    begin = first.issued_at if first else now
    months = range(begin.year * 12 + begin.month - 1, now.year * 12 + now.month)
    return [(month // 12, month % 12 + 1) for month in reversed(months)]


def owed_by_rows() -> Iterator[tuple[str, str, int]]:
    """Yield account, currency and what each reseller owes by batches and payments."""
    for reseller in Reseller.objects.order_by("pk"):
        yield reseller.receivable, reseller.currency, _owed_before(reseller, None)


def _owed_before(reseller: Reseller, at: datetime | None) -> int:
    """Return what was issued, less what was taken back and paid, before an instant, or ever."""
    batches = VoucherBatch.objects.filter(reseller=reseller, kind=VoucherBatch.Kind.SOLD)
    voided = BatchReversal.objects.filter(batch__reseller=reseller, kind=BatchReversal.Kind.VOID)
    payments = ResellerPayment.objects.filter(reseller=reseller)
    if at is not None:
        batches, voided = batches.filter(issued_at__lt=at), voided.filter(at__lt=at)
        payments = payments.filter(at__lt=at)
    issued = batches.aggregate(total=Sum(F("count") * F("paid_per_code_minor")))["total"] or 0
    back = voided.aggregate(total=Sum("amount_minor"))["total"] or 0
    paid = payments.aggregate(total=Sum("amount_minor"))["total"] or 0
    return int(issued - back - paid)
