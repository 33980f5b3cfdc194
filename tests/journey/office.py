"""What staff of the open demo shop do, run as a program of its own with the shop's settings.

python office.py vouchers 3      sell vouchers for a month, print their codes
python office.py books           print what does not agree, and how much was fulfilled
python office.py metered 60      open a service with a quota whose month ends in 60 s; print a file
python office.py used CODE       print what a subscription used of it, and what is wrong with that
python office.py packed          sell a plan with a small quota and packs to it; print its price
python office.py narrow          let the line's pools take one device more, then open a sibling
python office.py wide            let them take as many as ever
python office.py places          print how many devices lie in each pool, the oldest pool first
"""

from __future__ import annotations

import json
import sys

import django

django.setup()

from ferriage.accounts.actions import open_account  # noqa: E402 -- models need Django set up
from ferriage.cli.demo import shop  # noqa: E402 -- models need Django set up
from ferriage.core import clock  # noqa: E402 -- the same
from ferriage.core.actors import CUSTOMER  # noqa: E402 -- the same
from ferriage.core.codes import new_code  # noqa: E402 -- the same
from ferriage.core.money import Money  # noqa: E402 -- the same
from ferriage.devices import files  # noqa: E402 -- the same
from ferriage.devices.actions import add_device  # noqa: E402 -- the same
from ferriage.devices.conserving import check_ledger  # noqa: E402 -- the same
from ferriage.devices.keys import new_keypair  # noqa: E402 -- the same
from ferriage.devices.models import Device, UsageMonth  # noqa: E402 -- the same
from ferriage.devices.queries import placements  # noqa: E402 -- the same
from ferriage.fleet import alarmwords  # noqa: E402 -- the same
from ferriage.fleet.actions import set_size_limit  # noqa: E402 -- the same
from ferriage.fleet.alarming import open_alarms  # noqa: E402 -- the same
from ferriage.fleet.models import Pool  # noqa: E402 -- the same
from ferriage.orders.actions import end_subscription  # noqa: E402 -- the same
from ferriage.orders.models import Order  # noqa: E402 -- the same
from ferriage.payments.models import Payment, Voucher  # noqa: E402 -- the same
from ferriage.payments.queries import check  # noqa: E402 -- the same
from ferriage.plans import actions as plans  # noqa: E402 -- the same
from ferriage.plans.models import AddOnPrice, Plan, Subscription  # noqa: E402 -- the same

_WIDE = 60_000


def main(verb: str, *arguments: str) -> None:
    if verb == "vouchers":
        answer: object = shop.issue_vouchers(shop.month_price(), int(arguments[0]))
    elif verb == "fast":
        answer = _fast(int(arguments[0]))
    elif verb == "metered":
        answer = _metered(int(arguments[0]))
    elif verb == "used":
        answer = _used(arguments[0])
    elif verb == "packed":
        answer = _packed()
    elif verb in {"narrow", "wide"}:
        answer = _size(_WIDE if verb == "wide" else max(_places()) + 1)
    elif verb == "places":
        answer = _places()
    elif verb == "end":
        answer = _end(arguments[0], int(arguments[1]))
    else:
        answer = {
            "findings": [str(finding) for finding in check()],
            "fulfilled": Order.objects.filter(state="fulfilled").count(),
            "settled": Payment.objects.filter(outcome="settled").count(),
            "used": Voucher.objects.filter(used_at__isnull=False).count(),
        }
    json.dump(answer, sys.stdout)


def _fast(count: int) -> dict[str, object]:
    """Open a service at 10 Gbit/s on the same line, and sell vouchers for it."""
    line = shop.month_price().plan.offers.get().line
    now = clock.now()
    service = plans.create_service(slug="fast", name="Fast", now=now, actor=shop.OLGA)
    plan = plans.create_plan(
        service=service,
        name="Fast",
        rate_down_bps=10**10,
        rate_up_bps=10**10,
        now=now,
        actor=shop.OLGA,
    )
    plans.add_offer(plan=plan, line=line, now=now, actor=shop.OLGA)
    money = Money(1000, "CNY")
    price = plans.set_price(plan=plan, term_months=1, money=money, now=now, actor=shop.OLGA)
    return {"price": price.code, "vouchers": shop.issue_vouchers(price, count)}


def _metered(seconds: int) -> dict[str, object]:
    """Give somebody a device of a plan with a quota of a million bytes."""
    line = shop.month_price().plan.offers.get().line
    now = clock.now()
    service = plans.create_service(slug="metered", name="Metered", now=now, actor=shop.OLGA)
    plan = plans.create_plan(service=service, name="Small", now=now, actor=shop.OLGA)
    plans.add_offer(plan=plan, line=line, now=now, actor=shop.OLGA)
    Plan.objects.filter(pk=plan.pk).update(quota_bytes=1_000_000)
    plan.refresh_from_db()
    account = open_account(now=now, actor=CUSTOMER, place=shop.PLACE).account
    extended = plans.extend(
        account=account,
        plan=plan,
        subscription=None,
        term_months=1,
        source_code=new_code("ord"),
        now=now,
        actor=CUSTOMER,
    )
    subscription = extended.subscription
    ends_at = clock.from_unix(clock.unix(now) + seconds)
    Subscription.objects.filter(pk=subscription.pk).update(quota_anchor_at=ends_at)
    pair = new_keypair()
    device = add_device(subscription=subscription, public_key=pair.public, now=now, actor=CUSTOMER)
    (placement,) = placements(device)
    conf = files.conf(device=device, private_key=pair.private, placement=placement)
    return {"subscription": subscription.code, "conf": conf}


def _packed() -> dict[str, str]:
    """Sell a month with a quota of a million bytes, and packs of as much again."""
    line = shop.month_price().plan.offers.get().line
    now, million = clock.now(), 1_000_000
    service = plans.create_service(slug="packed", name="Packed", now=now, actor=shop.OLGA)
    plan = plans.create_plan(
        service=service, name="Little", quota_bytes=million, now=now, actor=shop.OLGA
    )
    plans.add_offer(plan=plan, line=line, now=now, actor=shop.OLGA)
    money = Money(500, shop.CURRENCY)
    price = plans.set_price(plan=plan, term_months=1, money=money, now=now, actor=shop.OLGA)
    pack = plans.set_addon_price(
        plan=plan,
        kind=AddOnPrice.Kind.QUOTA_PACK,
        quota_bytes=million,
        money=Money(200, shop.CURRENCY),
        now=now,
        actor=shop.OLGA,
    )
    return {"price": price.code, "pack": pack.code}


def _places() -> list[int]:
    line = shop.month_price().plan.offers.get().line
    return list(Pool.objects.filter(line=line).order_by("pk").values_list("placed", flat=True))


def _size(limit: int) -> int:
    line = shop.month_price().plan.offers.get().line
    set_size_limit(line=line, limit=limit, now=clock.now(), actor=shop.OLGA)
    return limit


def _used(code: str) -> dict[str, object]:
    """Return the bytes of the months that are kept, oldest first, and every alarm of the meter."""
    months = UsageMonth.objects.filter(subscription__code=code).order_by("begins_at")
    check_ledger(clock.now())
    alarms = open_alarms().filter(kind="metering")
    return {
        "months": list(months.values_list("bytes_used", flat=True)),
        "alarms": [alarmwords.said(alarm) for alarm in alarms],
    }


def _end(public_key: str, seconds: int) -> float:
    found = Device.objects.get(public_key=public_key, removed_at=None)
    at = clock.from_unix(clock.unix(clock.now()) + seconds)
    end_subscription(
        subscription=found.subscription,
        at=at,
        reason="measured",
        now=clock.now(),
        actor=shop.OLGA,
    )
    return at.timestamp()


main(*sys.argv[1:])
