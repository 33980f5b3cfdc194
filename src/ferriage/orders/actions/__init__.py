"""Everything that changes an order."""

from ferriage.orders.actions.addons import AddOnWrong, place_addon
from ferriage.orders.actions.begun import forget_begun, note_begun
from ferriage.orders.actions.changes import (
    TooManyDevices,
    check_devices,
    drop_due,
    place_change,
    plan_change,
    switch_due,
)
from ferriage.orders.actions.chargeback import (
    charge_back,
    end_bought,
    hold,
    keep_claim,
    let_go,
    note_lost,
    take_credited,
)
from ferriage.orders.actions.coupons import (
    CouponNotUsable,
    CouponWrong,
    Grant,
    end_coupon,
    make_coupon,
)
from ferriage.orders.actions.freezing import freeze_due, resume_due
from ferriage.orders.actions.gifts import NotGivable, give, name_gift
from ferriage.orders.actions.grants import GrantTooLong, grant_until
from ferriage.orders.actions.lapses import MoveRefused, move, refund, refund_due, wait
from ferriage.orders.actions.onsale import NotOnSale, TermOutlivesApproval
from ferriage.orders.actions.outcomes import NotPaid, RefusalReason, Refused, Settled
from ferriage.orders.actions.packs import count_use
from ferriage.orders.actions.paying import NotFromBalance, pay_from_balance, settle_if_nothing_due
from ferriage.orders.actions.places import NotShowable, note_shown
from ferriage.orders.actions.sales import NotForSale, PriceGone, cancel, expire_due, place, settle
from ferriage.orders.actions.service import end_subscription, recognise
from ferriage.orders.actions.targets import WrongSubscription
from ferriage.orders.actions.topups import NoTopUp, TopUpWrong, place_topup

__all__ = [
    "AddOnWrong",
    "CouponNotUsable",
    "CouponWrong",
    "Grant",
    "GrantTooLong",
    "MoveRefused",
    "NoTopUp",
    "NotForSale",
    "NotFromBalance",
    "NotGivable",
    "NotOnSale",
    "NotPaid",
    "NotShowable",
    "PriceGone",
    "RefusalReason",
    "Refused",
    "Settled",
    "TermOutlivesApproval",
    "TooManyDevices",
    "TopUpWrong",
    "WrongSubscription",
    "cancel",
    "charge_back",
    "check_devices",
    "count_use",
    "drop_due",
    "end_bought",
    "end_coupon",
    "end_subscription",
    "expire_due",
    "forget_begun",
    "freeze_due",
    "give",
    "grant_until",
    "hold",
    "keep_claim",
    "let_go",
    "make_coupon",
    "move",
    "name_gift",
    "note_begun",
    "note_lost",
    "note_shown",
    "pay_from_balance",
    "place",
    "place_addon",
    "place_change",
    "place_topup",
    "plan_change",
    "recognise",
    "refund",
    "refund_due",
    "resume_due",
    "settle",
    "settle_if_nothing_due",
    "switch_due",
    "take_credited",
    "wait",
]
