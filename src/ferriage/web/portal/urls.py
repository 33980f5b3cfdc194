"""The addresses that customers see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import path

from ferriage.web.portal.views import (
    account,
    balance,
    devices,
    entry,
    gifts,
    held,
    invitation,
    orders,
    paying,
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
    path("orders/<str:code>/pay/<slug:slug>/", paying.start, name="pay-start"),
    path("orders/<str:code>/back/", paying.back, name="pay-back"),
    path("orders/<str:code>/cancel/", orders.cancel, name="cancel-order"),
    path("orders/<str:code>/balance/", balance.pay, name="pay-balance"),
    path("orders/<str:code>/return/", balance.give_back, name="return-topup"),
    path("orders/<str:code>/gift/", gifts.reveal, name="reveal-gift"),
    path("balance/", balance.show, name="balance"),
    path("balance/top-up/", balance.top_up, name="top-up"),
    path("gift/<str:code>/", gifts.choose, name="gift"),
    path("gift/<str:code>/number/", gifts.to_number, name="gift-number"),
    path("gift/<str:code>/code/", gifts.as_code, name="gift-code"),
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
