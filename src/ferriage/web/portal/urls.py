"""The addresses that customers see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import path

from ferriage.web.portal.views import (
    account,
    devices,
    entry,
    held,
    invitation,
    orders,
    papers,
    refunds,
    sign_in,
    transparency,
    window,
)

if TYPE_CHECKING:
    from django.urls import URLPattern

urlpatterns: list[URLPattern] = [
    path("", window.home, name="home"),
    path("lines/<str:code>/", window.line, name="line"),
    path("transparency/", transparency.report, name="transparency"),
    path("privacy/", window.privacy, name="privacy"),
    path("open/", entry.open_account, name="open-account"),
    path("log-in/", entry.log_in, name="log-in"),
    path("log-out/", entry.log_out, name="log-out"),
    path("invitation/<str:token>/", invitation.invitation, name="invitation"),
    path("sign-in/", sign_in.begin, name="sign-in"),
    path("sign-in/back/", sign_in.back, name="sign-in-back"),
    path("buy/<str:code>/", orders.buy, name="buy"),
    path("orders/", orders.place, name="place-order"),
    path("orders/<str:code>/", orders.order, name="order"),
    path("orders/<str:code>/voucher/", orders.pay_by_voucher, name="pay-voucher"),
    path("orders/<str:code>/bank/", orders.pay_by_bank, name="pay-bank"),
    path("orders/<str:code>/cancel/", orders.cancel, name="cancel-order"),
    path("orders/<str:code>/buyer/", papers.buyer, name="order-buyer"),
    path("documents/<str:code>.<str:form>", papers.document, name="document"),
    path("account/<str:code>/refund/", refunds.refund, name="refund"),
    path("account/<str:code>/refund/confirm/", refunds.refund_confirm, name="refund-confirm"),
    path("withdraw/", refunds.withdraw_index, name="withdraw"),
    path("withdraw/<str:code>/", refunds.withdraw, name="withdraw-step"),
    path("withdraw/<str:code>/confirm/", refunds.withdraw_confirm, name="withdraw-confirm"),
    path("withdrawn/<str:code>/", refunds.withdrawn, name="withdrawn"),
    path("withdrawn/<str:code>.<str:form>", papers.acknowledgement, name="acknowledgement"),
    path("account/", account.account, name="account"),
    path("account/number/", entry.replace_number, name="replace-number"),
    path("account/<str:code>/renew/", orders.renew, name="renew"),
    path("account/<str:code>/devices/", devices.add, name="add-device"),
    path("held/", held.index, name="held"),
    path("held/<str:code>/wait/", held.wait, name="held-wait"),
    path("held/<str:code>/move/", held.move, name="held-move"),
    path("held/<str:code>/refund/", held.refund, name="held-refund"),
    path("devices/<str:code>/", devices.device, name="device"),
    path("devices/<str:code>/live/", devices.live, name="device-live"),
    path("devices/<str:code>/file/", devices.file, name="device-file"),
    path("devices/<str:code>/key/", devices.replace_key, name="replace-key"),
    path("devices/<str:code>/remove/", devices.remove, name="remove-device"),
]
