"""A program: gives a new customer a few seconds of the shop, with a device and a voucher.

Prints JSON: the account's number, the voucher, the device's file and the price of a month.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta

from ferriage.cli import house


def _main(seconds: int) -> dict[str, str]:
    house.enter()
    from ferriage.accounts.actions import open_account
    from ferriage.core import clock
    from ferriage.core.actors import Actor
    from ferriage.devices import actions as devices
    from ferriage.devices.files import conf
    from ferriage.devices.keys import new_keypair
    from ferriage.devices.queries import placements
    from ferriage.plans.actions import grant

    now, actor, keys = clock.now(), Actor("command", "test"), new_keypair()
    price, voucher = _voucher()
    opened = open_account(now=now, actor=actor, place="SE")
    subscription = grant(
        account=opened.account,
        subscription=None,
        plan=price.plan,
        starts_at=now,
        ends_at=now + timedelta(seconds=seconds),
        reason="A short term",
        source_code="test",
        now=now,
        actor=actor,
    )
    device = devices.add_device(
        subscription=subscription, public_key=keys.public, name="phone", now=now, actor=actor
    )
    file = conf(device=device, private_key=keys.private, placement=placements(device)[0])
    return {"number": opened.number, "voucher": voucher, "file": file, "price": price.code}


def _voucher():  # noqa: ANN202 -- its types load Django
    from ferriage.cli.demo import shop

    price = shop.month_price()
    return price, shop.issue_vouchers(price, 1)[0]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_main(int(sys.argv[1]))))
