"""Everything that changes an order."""

from ferriage.orders.actions.places import NotShowable, note_shown
from ferriage.orders.actions.sales import (
    NotForSale,
    NotOnSale,
    PriceGone,
    RefusalReason,
    Refused,
    Settled,
    TermOutlivesApproval,
    cancel,
    expire_due,
    place,
    settle,
)
from ferriage.orders.actions.service import end_subscription, recognise

__all__ = [
    "NotForSale",
    "NotOnSale",
    "NotShowable",
    "PriceGone",
    "RefusalReason",
    "Refused",
    "Settled",
    "TermOutlivesApproval",
    "cancel",
    "end_subscription",
    "expire_due",
    "note_shown",
    "place",
    "recognise",
    "settle",
]
