"""Everything that changes an order."""

from ferriage.orders.actions.chargeback import charge_back
from ferriage.orders.actions.freezing import freeze_due, resume_due
from ferriage.orders.actions.lapses import MoveRefused, move, refund, refund_due, wait
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
    "MoveRefused",
    "NotForSale",
    "NotOnSale",
    "NotShowable",
    "PriceGone",
    "RefusalReason",
    "Refused",
    "Settled",
    "TermOutlivesApproval",
    "cancel",
    "charge_back",
    "end_subscription",
    "expire_due",
    "freeze_due",
    "move",
    "note_shown",
    "place",
    "recognise",
    "refund",
    "refund_due",
    "resume_due",
    "settle",
    "wait",
]
