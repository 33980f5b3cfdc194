"""The providers that there are, and those that this shop uses.

A provider over the net is a class in `KINDS`, made from a `ProviderAccount`; the shop may have
none. Bank transfers and vouchers need no account and are always there.

Source: docs/how-to/write-a-provider.md
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from django.utils.translation import gettext_lazy as _

from ferriage.core.compiled import Compiled
from ferriage.core.errors import NotFound
from ferriage.core.sealed import Unsealable, seal, unseal
from ferriage.orders.places import contradicting
from ferriage.payments.models import ProviderAccount
from ferriage.payments.providers.bank.provider import BankProvider
from ferriage.payments.providers.btcpay.provider import BtcpayProvider
from ferriage.payments.providers.contract import AccountSetup
from ferriage.payments.providers.stripe.provider import StripeProvider
from ferriage.payments.providers.voucher.provider import VoucherProvider

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from ferriage.core.errors import FerriageError
    from ferriage.orders.models import Order
    from ferriage.payments.models import Payment
    from ferriage.payments.providers.contract import Means, NetProvider, Provider

log = structlog.get_logger()

KINDS: Final[dict[str, type[NetProvider]]] = {BtcpayProvider.slug: BtcpayProvider}
"""Providers over the net by slug: the class that is made of an account with the shop."""

if find_spec("stripe") is not None:
    KINDS[StripeProvider.slug] = StripeProvider

_ACCOUNTS: Final = Compiled(
    1, lambda slug: ProviderAccount.objects.filter(slug=slug).order_by("-enabled", "-pk")
)


def opened(account: ProviderAccount) -> Provider:
    """Return the provider of an account, its secrets unsealed.

    Raises:
        NotFound: This release has no such provider.
        Unsealable: The secrets were sealed with another key.
    """
    make = KINDS.get(account.slug)
    if make is None:
        raise _no_such(account.slug)
    secrets = msgspec.json.decode(
        unseal(account.secrets_sealed, place=account.code), type=dict[str, str]
    )
    return make(AccountSetup(account.slug, account.label, account.is_test_mode, secrets))


def sealed(account: ProviderAccount, secrets: Mapping[str, str]) -> str:
    """Return secrets as the account's row keeps them."""
    return seal(msgspec.json.encode(dict(secrets)).decode(), place=account.code)


def of_payment(payment: Payment) -> Provider:
    """Return the provider that a payment was begun with, also where it is not enabled any more."""
    if payment.account is not None:
        return opened(payment.account)
    return _built_in(payment.provider)


def accounts(slug: str) -> list[ProviderAccount]:
    """Return the accounts with a slug, the enabled one first: each may still be called back."""
    return _ACCOUNTS(slug)


def in_use() -> Iterator[tuple[Provider, ProviderAccount | None]]:
    """Yield the providers that customers may choose from, those over the net first."""
    enabled = ProviderAccount.objects.filter(enabled=True, slug__in=KINDS).order_by("pk")
    for account in enabled:
        try:
            yield opened(account), account
        except Unsealable as fault:  # one that cannot be used hides no other
            log.warning("provider.unusable", provider=account.slug, reason=fault.slug)
    yield VoucherProvider(), None
    yield BankProvider(), None


def unusable() -> Iterator[tuple[ProviderAccount, FerriageError]]:
    """Yield the accounts in use that cannot be opened, each with the reason."""
    for account in ProviderAccount.objects.filter(enabled=True).order_by("pk"):
        try:
            opened(account)
        except (NotFound, Unsealable) as fault:
            yield account, fault


def chosen(slug: str) -> tuple[Provider, ProviderAccount | None]:
    """Return the provider that a customer chose.

    Raises:
        NotFound: The shop does not use it.
    """
    for provider, account in in_use():
        if provider.slug == slug:
            return provider, account
    raise NotFound(_("This shop has no such way to pay."), _("Choose another one."))


def means_for(order: Order, now: datetime) -> list[Means]:
    """Return every way to pay an order, with the register's word where one is not for it.

    A means whose payer is presumably in a place where the line may not be sold stays off
    (docs/decisions/0015-place-evidence.md).
    """
    offered = [
        replace(means, is_test_mode=provider.is_test_mode)
        for provider, _account in in_use()
        for means in provider.offered(order, now)
    ]
    return [_judged(means, order, now) for means in offered]


def _judged(means: Means, order: Order, now: datetime) -> Means:
    contrary = contradicting(order, payer_place=means.payer_place, now=now)
    return replace(means, contrary=contrary.verdict) if contrary else means


def _built_in(slug: str) -> Provider:
    for provider in (VoucherProvider(), BankProvider()):
        if provider.slug == slug:
            return provider
    raise _no_such(slug)


def _no_such(slug: str) -> NotFound:
    return NotFound(_("This release knows no payment provider “%s”.") % slug)
