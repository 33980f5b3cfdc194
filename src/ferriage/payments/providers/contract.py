"""What a payment provider must be: one object, asked the same questions as every other.

A provider talks to the outside and to nothing else: it never writes a row. What it learns it
returns, and the house keeps that before anything is done with it. So each of its methods may be
called again after a crash, and must then come to the same thing.

    offered ──> start ──> the customer pays there ──> verify (a callback) ─┐
                   └────────────────────────────> ask (the reconciler) ────┴─> Event ──> inbox

Source: docs/how-to/write-a-provider.md
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from ferriage.core.errors import FerriageError, OutsideError
from ferriage.core.money import Money

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ferriage.approvals.facts import Verdict
    from ferriage.orders.models import Order
    from ferriage.payments.models import Payment, Refund

EventKind = Literal[
    "paid",
    "failed",
    "declined",
    "look",
    "refunded",
    "refund-failed",
    "dispute-opened",
    "dispute-won",
    "dispute-lost",
    "other",
]
"""`paid` is money that came, and the only kind that can settle an order. `failed` is
the end of what was begun, and `declined` is not: the payer may try again there. `look` says that
something changed and `ask` knows what. `other` is kept and does nothing."""


class Unverified(FerriageError):
    """A callback that does not carry the provider's signature, or carries it too late."""

    slug = "unverified"
    status = 400


class ProviderDown(OutsideError):
    """The provider does not answer, or not with what its documentation promises."""

    slug = "provider-down"


class NotByThisMeans(FerriageError):
    """The provider does not take this order's money; nothing was begun."""

    slug = "not-by-this-means"


@dataclass(frozen=True, slots=True)
class SecretField:
    """A secret that the provider needs, as the back office asks for it.

    Attributes:
        begins: By the account's mode, what it begins with where the provider marks it so: a test
            key in a live account would open service for play money.
    """

    name: str
    label: object
    help_text: object = ""
    is_secret: bool = True
    is_required: bool = True
    begins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Urls:
    """Where the provider sends the customer back to, and where it reports to. Absolute."""

    back: str
    cancelled: str
    events: str


@dataclass(frozen=True, slots=True)
class Means:
    """One way to pay that the order's page lists.

    Attributes:
        choice: What the provider is told of it, such as `alipay`; kept on the payment.
        payer_place: Where it presumes the payer; empty presumes nothing.
        template: What the order's page shows for it. It gets `means`, `order` and `payment`.
        on_page: The template holds a form of its own, so there is nothing to start.
        contrary: Why it is not for this order: the register's word on `payer_place`. Set by the
            registry, never by the provider.
    """

    slug: str
    title: object
    choice: str = ""
    payer_place: str = ""
    template: str = "portal/means/redirect.html"
    on_page: bool = False
    is_test_mode: bool = False
    contrary: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """What became of a start: somewhere to go, or something to quote, or both.

    Attributes:
        url: Where the customer pays; empty where the order's page itself says how.
        provider_ref: The provider's own name of what was begun; `ask` finds it by that.
        reference: What the payer must quote.
        expires_at: From then on the customer cannot pay there; None for as long as the order is.
    """

    url: str = ""
    provider_ref: str = ""
    reference: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RawEvent:
    """A callback as it came. `headers` has lower-case names."""

    body: bytes
    headers: Mapping[str, str]
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that a provider says, in words that are the same for all providers.

    Attributes:
        event_id: The provider's own name of the saying; it is handled once.
        payment: The code of our payment, where the provider gives it back.
        provider_ref: The provider's name of what `start` began, where it says no code.
        transaction_id: The provider's own name of the money that came, the same in every event,
            answer and settlement row that speaks of it. Money is booked once under it, and a
            dispute that is told before it waits for it.
        money: What came, went back or is disputed; in the currency that the customer paid.
        payer_place: ISO 3166 code of where the payer presumably is; empty where nobody knows.
        refund: The code of our refund, in events of refunds.
        dispute: The provider's name of the dispute, in events of disputes.
        reason: The provider's word for why, for staff to read.
    """

    event_id: str
    kind: EventKind
    payment: str = ""
    provider_ref: str = ""
    transaction_id: str = ""
    money: Money | None = None
    payer_place: str = ""
    refund: str = ""
    dispute: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse to be made of money without its name or amount: it could not be booked once."""
        if self.kind == "paid" and (self.money is None or not self.transaction_id):
            raise ValueError("paid, without an amount or a transaction id")

    def to_json(self) -> dict[str, Any]:
        """Return it as the inbox keeps it."""
        names = ("event_id", "kind", "payment", "provider_ref", "transaction_id", "payer_place")
        kept = {name: getattr(self, name) for name in (*names, "refund", "dispute", "reason")}
        if self.money is not None:
            kept |= {"amount_minor": self.money.amount_minor, "currency": self.money.currency}
        return kept

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Event:
        """Return what `to_json` made text of."""
        fields = dict(kept)
        minor, currency = fields.pop("amount_minor", None), fields.pop("currency", "")
        return cls(**fields, money=None if minor is None else Money(minor, currency))


@dataclass(frozen=True, slots=True)
class RefundResult:
    """What became of a refund.

    `by-hand` means that the provider cannot pay back, and staff must. `pending` is asked again.
    `claim_url` is where the customer says how to get the money, while that is theirs to do.
    """

    state: Literal["paid", "pending", "failed", "by-hand"]
    reference: str = ""
    reason: str = ""
    claim_url: str = ""


@dataclass(frozen=True, slots=True)
class SettlementRow:
    """One line of a provider's own books, signed from the shop's side; net = gross - fee.

    Attributes:
        row_id: The provider's own name of the line; it is imported once.
        kind: `charge`, `refund`, `dispute`, `fee`, `payout` (gross is below zero) or `other`.
        reference: The transaction id of the money, the reference of the refund, the name of the
            dispute, or that of the payout.
        payout: The name of the payout that the line belongs to, once there is one.
    """

    row_id: str
    kind: Literal["charge", "refund", "dispute", "fee", "payout", "other"]
    reference: str
    gross_minor: int
    fee_minor: int
    net_minor: int
    currency: str
    at: datetime
    payout: str = ""


@dataclass(frozen=True, slots=True)
class AccountSetup:
    """What a provider is made from: its account with us, opened. Never shown or logged."""

    slug: str
    title: str
    is_test_mode: bool
    secrets: Mapping[str, str] = field(repr=False, default_factory=dict)


class Provider(Protocol):
    """One provider, ready to be asked.

    Only `offered` and `verify` may be called inside a transaction: they ask nobody. The others
    call the provider and raise `ProviderDown` when it does not answer within some seconds.
    """

    slug: ClassVar[str]
    """As in the registry, in URLs and in the books: `assets:<slug>`."""
    secret_fields: ClassVar[tuple[SecretField, ...]]

    @property
    def title(self) -> object:
        """What customers and staff call it."""

    @property
    def is_test_mode(self) -> bool:
        """Whether it moves no real money."""

    def offered(self, order: Order, now: datetime) -> list[Means]:
        """Return the ways to pay this order; none where it cannot take the order's money."""

    def start(self, payment: Payment, order: Order, urls: Urls, now: datetime) -> Started:
        """Begin a payment that is committed already; its code is the idempotency key.

        Raises:
            ProviderDown: Nobody answers; the same payment is started again later.
            NotByThisMeans: The provider refuses for good.
        """

    def verify(self, raw: RawEvent) -> list[Event]:
        """Return what a callback says; the signature over the raw body is checked first.

        Raises:
            Unverified: The signature is missing, wrong or too old.
        """

    def ask(self, payment: Payment) -> list[Event]:
        """Return what the provider knows of a payment, oldest first; nothing while it is open.

        An event has the same `transaction_id` here as in a callback, so money is booked once.
        """

    def refund(self, refund: Refund) -> RefundResult:
        """Pay a refund back, or tell what became of it.

        The refund's code is the idempotency key. It is called again until it is final, also days
        later: where keys lapse the provider looks for the refund by its code first.
        """

    def settlements(self, since: datetime) -> list[SettlementRow]:
        """Return the lines of the provider's books from an instant on, oldest first."""


class NetProvider(Provider, Protocol):
    """A provider over the net, made from the shop's account with it."""

    kind: ClassVar[object]
    """What staff choose it by, such as `Stripe`."""

    def __init__(self, setup: AccountSetup) -> None:
        """Take the account's secrets; nobody is called yet."""
