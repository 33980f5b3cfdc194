"""What a reseller may hold without having paid for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.core.errors import FerriageError
from ferriage.core.money import Money
from ferriage.payments.models import Reseller
from ferriage.payments.providers.voucher import queries

if TYPE_CHECKING:
    from ferriage.core.money import Money as Amount


class ResellerWrong(FerriageError):
    """Something about a reseller that cannot be like this."""

    slug = "reseller-wrong"
    status = 422


class QuotaPassed(FerriageError):
    """The reseller would hold more codes, or owe more, than they may."""

    slug = "quota-passed"


def check_quota(reseller: Reseller, price: Amount, count: int) -> Reseller:
    """Return the reseller as they are now, if they may have so many more codes; in a transaction.

    Raises:
        ResellerWrong: They are closed, or deal in another currency.
        QuotaPassed: They may not.
    """
    reseller = Reseller.objects.get(pk=reseller.pk)
    if reseller.closed_at is not None or reseller.currency != price.currency:
        raise ResellerWrong(
            _("%(name)s takes no batch in %(currency)s.")
            % {"name": reseller.name, "currency": price.currency},
            _("Look at the reseller's page; nothing was issued."),
        )
    held = queries.held(reseller)
    owed = held.owed_minor + price.amount_minor * count
    if reseller.quota_codes is not None and held.unpaid_codes + count > reseller.quota_codes:
        raise QuotaPassed(
            _("%(name)s may hold %(most)d codes without having paid, and holds %(held)d.")
            % {"name": reseller.name, "most": reseller.quota_codes, "held": held.unpaid_codes},
            _("Issue fewer, book what was paid, or raise the quota."),
        )
    if reseller.quota_minor is not None and owed > reseller.quota_minor:
        raise QuotaPassed(
            _("%(name)s may owe %(most)s, and would owe %(owed)s.")
            % {
                "name": reseller.name,
                "most": Money(reseller.quota_minor, reseller.currency),
                "owed": Money(owed, reseller.currency),
            },
            _("Issue fewer, book what was paid, or raise the quota."),
        )
    return reseller
