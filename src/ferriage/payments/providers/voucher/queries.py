"""What resellers hold and owe, as of now and month by month."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from django.db.models import Count, F, Q, Sum

from ferriage.core.hashing import hash_secret
from ferriage.payments import suspense
from ferriage.payments.models import (
    BatchReversal,
    Payment,
    Reseller,
    ResellerCredit,
    ResellerPayment,
    ResellerReturn,
    Voucher,
    VoucherBatch,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.db.models import QuerySet


@dataclass(frozen=True, slots=True)
class Held:
    """What a reseller holds without having paid: the newest codes are the unpaid ones."""

    owed_minor: int
    unpaid_codes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """A reseller's settlement statement of one month of UTC.

    `opening + issued - taken back - paid + returned - unused = closing`; returned is what of
    payments their bank took back for good, unused what users of codes did not use. What was
    redeemed is told, and changes nothing that is owed.
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
    returned_minor: int
    redeemed_codes: int
    batches: list[VoucherBatch]
    payments: list[ResellerPayment]
    unused: list[ResellerCredit]

    @property
    def unused_minor(self) -> int:
        """What is owed less since codes were not used up."""
        return sum(credit.amount_minor for credit in self.unused)

    @property
    def closing_minor(self) -> int:
        """What is owed at the month's end."""
        came = self.paid_minor - self.returned_minor
        gone = self.void_minor + self.unused_minor
        return self.opening_minor + self.issued_minor - gone - came


def held(reseller: Reseller) -> Held:
    """Return what a reseller holds unpaid, from batches, reversals and payments."""
    return holdings([reseller])[reseller.pk]


def holdings(resellers: Sequence[Reseller]) -> dict[int, Held]:
    """Return by primary key what each of them holds unpaid; a fixed number of queries."""
    gone = Count("vouchers", filter=Q(vouchers__reversal__kind=BatchReversal.Kind.VOID))
    sold = VoucherBatch.objects.filter(
        reseller__in=list(resellers), kind=VoucherBatch.Kind.SOLD
    ).annotate(void=gone)
    batches: dict[int, list[tuple[int, int]]] = defaultdict(list)
    rows = sold.order_by("-pk").values_list("reseller", "count", "void", "paid_per_code_minor")
    for reseller, count, void, price in rows:
        batches[reseller or 0].append((count - void, price))
    payments = ResellerPayment.objects.filter(reseller__in=list(resellers))
    paid = dict(payments.values_list("reseller").annotate(Sum("amount_minor")).order_by())
    returns = ResellerReturn.objects.filter(payment__reseller__in=list(resellers))
    back = dict(returns.values_list("payment__reseller").annotate(Sum("amount_minor")).order_by())
    credited = ResellerCredit.objects.filter(reseller__in=list(resellers))
    less = dict(credited.values_list("reseller").annotate(Sum("amount_minor")).order_by())
    return {
        one.pk: _held(
            batches[one.pk], paid.get(one.pk, 0) + less.get(one.pk, 0) - back.get(one.pk, 0)
        )
        for one in resellers
    }


def _held(batches: list[tuple[int, int]], paid: int) -> Held:
    """Say what is unpaid of batches, newest first, as (codes, price of one)."""
    owed = left = sum(count * price for count, price in batches) - paid
    unpaid = 0
    for count, price in batches:
        # What is owed covers the newest codes first: payments are for the oldest ones.
        covered = max(min(count, -(-left // price)), 0)
        unpaid += covered
        left -= covered * price
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


def payments_that_fit(reseller: Reseller) -> QuerySet[Payment]:
    """Return money without an order that a reseller may have paid: no more than is owed."""
    return (
        suspense.untouched()
        .filter(
            currency=reseller.currency,
            received_minor__lte=held(reseller).owed_minor,
        )
        .order_by("captured_at")
    )


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
    returned = ResellerReturn.objects.filter(payment__reseller=reseller, at__gte=start, at__lt=end)
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
        returned_minor=returned.aggregate(total=Sum("amount_minor"))["total"] or 0,
        redeemed_codes=Voucher.objects.filter(
            batch__reseller=reseller, used_at__gte=start, used_at__lt=end
        ).count(),
        batches=batches,
        payments=payments,
        unused=list(reseller.credits.filter(at__gte=start, at__lt=end).order_by("pk")),
    )


def months_of(reseller: Reseller, now: datetime) -> list[tuple[int, int]]:
    """Return the months from the first batch to now, newest first, as (year, month)."""
    first = VoucherBatch.objects.filter(reseller=reseller).order_by("pk").first()
    begin = first.issued_at if first else now
    months = range(begin.year * 12 + begin.month - 1, now.year * 12 + now.month)
    return [(month // 12, month % 12 + 1) for month in reversed(months)]


def owed_by_rows() -> Iterator[tuple[str, str, int]]:
    """Yield account, currency and what each reseller owes by batches and payments."""
    everybody = list(Reseller.objects.order_by("pk"))
    found = holdings(everybody)
    for reseller in everybody:
        yield reseller.receivable, reseller.currency, found[reseller.pk].owed_minor


def _owed_before(reseller: Reseller, at: datetime) -> int:
    """Return what was issued before an instant, less what was taken back and paid."""
    batches = VoucherBatch.objects.filter(
        reseller=reseller, kind=VoucherBatch.Kind.SOLD, issued_at__lt=at
    )
    voided = BatchReversal.objects.filter(
        batch__reseller=reseller, kind=BatchReversal.Kind.VOID, at__lt=at
    )
    payments = ResellerPayment.objects.filter(reseller=reseller, at__lt=at)
    issued = batches.aggregate(total=Sum(F("count") * F("paid_per_code_minor")))["total"] or 0
    back = voided.aggregate(total=Sum("amount_minor"))["total"] or 0
    paid = payments.aggregate(total=Sum("amount_minor"))["total"] or 0
    returns = ResellerReturn.objects.filter(payment__reseller=reseller, at__lt=at)
    returned = returns.aggregate(total=Sum("amount_minor"))["total"] or 0
    credited = reseller.credits.filter(at__lt=at)
    not_used = credited.aggregate(total=Sum("amount_minor"))["total"] or 0
    return int(issued - back - paid + returned - not_used)
