"""The providers that the sandbox plays: one line each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ferriage.sandbox.btcpay.half import BtcpayHalf
from ferriage.sandbox.courier import Courier
from ferriage.sandbox.frame import Half, Site
from ferriage.sandbox.keys import Keys
from ferriage.sandbox.stripe.half import StripeHalf

Maker = Callable[[Site, Courier, Keys], Half]
"""Makes one provider's half, once the sandbox knows its own address."""

HALVES: Final[tuple[Maker, ...]] = (BtcpayHalf, StripeHalf)
