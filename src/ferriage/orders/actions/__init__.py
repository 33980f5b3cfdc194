"""Everything that changes an order."""

from ferriage.orders.actions.addons import AddOnWrong, place_addon
from ferriage.orders.actions.changes import (
    TooManyDevices,
    check_devices,
    drop_due,
    place_change,
    plan_change,
    switch_due,
)
from ferriage.orders.actions.freezing import freeze_due, resume_due
from ferriage.orders.actions.lapses import MoveRefused, move, refund, refund_due, wait
from ferriage.orders.actions.onsale import NotOnSale, TermOutlivesApproval
from ferriage.orders.actions.places import NotShowable, note_shown
from ferriage.orders.actions.sales import (
    NotForSale,
    PriceGone,
    RefusalReason,
    Refused,
    Settled,
    cancel,
    expire_due,
    place,
    settle,
)
from ferriage.orders.actions.service import end_subscription, recognise
from ferriage.orders.actions.targets import WrongSubscription

__all__ = [
    "AddOnWrong",
    "MoveRefused",
    "NotForSale",
    "NotOnSale",
    "NotShowable",
    "PriceGone",
    "RefusalReason",
    "Refused",
    "Settled",
    "TermOutlivesApproval",
    "TooManyDevices",
    "WrongSubscription",
    "cancel",
    "check_devices",
    "drop_due",
    "end_subscription",
    "expire_due",
    "freeze_due",
    "move",
    "note_shown",
    "place",
    "place_addon",
    "place_change",
    "plan_change",
    "recognise",
    "refund",
    "refund_due",
    "resume_due",
    "settle",
    "switch_due",
    "wait",
]
