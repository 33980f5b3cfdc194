"""What the register costs: one judgement, the desired state of a big shop, a year of Decisions.

A real SQLite database in a directory of its own, made by the real actions and then filled in
bulk. Times are seconds of this process on a processor, since the machine is shared; read the
ratios: each figure stands beside a bare baseline of the same run, and for the desired state the
register is taken out of the way by one that answers without reading or judging anything.

    .venv/bin/python benchmarks/register.py
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "approvals")]
os.environ["DJANGO_SETTINGS_MODULE"] = "settings_for_tests"

import django

django.setup()

from django.conf import settings
from django.core.management import call_command
from django.db import transaction

import lawbook
from ferriage.accounts.models import Account
from ferriage.approvals import chainfile, packs
from ferriage.approvals.evaluate import evaluate
from ferriage.approvals.facts import Facts, LineFacts, Reason, Verdict
from ferriage.approvals.models import Decision
from ferriage.approvals.packs import Later, Packs
from ferriage.approvals.queries import (
    decision_content,
    exported_decisions,
    inputs_digest,
    load_register,
)
from ferriage.approvals.site import packs_in_force
from ferriage.core import chain
from ferriage.devices import actions as devices
from ferriage.devices.models import Device
from ferriage.fleet.models import PoolCurrent
from ferriage.fleet.queries import line_facts
from ferriage.plans.models import Period, Subscription
from shop import Shop, open_shop
from yard import OWNER, Yard, prepare_site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
JUDGEMENTS = 20_000
SIZES = (6_000, 60_000)
DECISIONS = (10_000, 100_000)
PAGE = 500
ROUNDS = 3


def timed(work: Callable[[], object]) -> float:
    """Return the seconds of processor that some work takes here: neighbours cost it none."""
    began = time.process_time()
    work()
    return time.process_time() - began


# --- one judgement ----------------------------------------------------------------------------


def judgements(shop: Shop) -> None:
    """Print what one judgement costs, beside merely making an answer of the same size."""
    register = load_register()
    facts = register.facts(line_facts(shop.line), "XD")
    law = Packs(register.packs.by_place)
    waits = Packs(law.by_place, (Later(NOW + timedelta(days=7), law),))
    crossing = replace(facts.line, exit="SE", sell_places=("XD", "SE"))
    verdict = evaluate(facts, law, NOW)
    assert verdict.allowed
    print(f"one judgement, microseconds of {JUDGEMENTS:,}")
    bare = _each(lambda: _answer(verdict))
    for name, work in (
        ("bare: making the answer", lambda: _answer(verdict)),
        ("allowed, one approval", lambda: evaluate(facts, law, NOW)),
        ("the same, a newer pack waits", lambda: evaluate(facts, waits, NOW)),
        ("refused, six questions", lambda: evaluate(replace(facts, line=crossing), law, NOW)),
    ):
        taken = _each(work)
        print(f"  {name:<30}{taken * 1e6:>8.1f}{taken / bare:>8.1f}x bare")
    print(f"  {'reading the register, once':<30}{min(map(_loading, range(9))) * 1e6:>8.1f}")


def _loading(_round: int) -> float:
    return timed(load_register)


def _each(work: Callable[[], object]) -> float:
    def many() -> None:
        for _ in range(JUDGEMENTS):
            work()

    return min(timed(many) for _ in range(ROUNDS)) / JUDGEMENTS


def _answer(like: Verdict) -> Verdict:
    grounds = tuple(
        Reason(
            role=one.role,
            place=one.place,
            slug=one.slug,
            clause=one.clause,
            source=one.source,
            params=one.params,
        )
        for one in like.grounds
    )
    return Verdict(allowed=True, reasons=(), grounds=grounds, valid_until=like.valid_until)


# --- the desired state of a shop --------------------------------------------------------------


class Yes:
    """A register that answers without judging: what there would be without one."""

    def __init__(self, shop: Shop) -> None:
        self._verdict = load_register().judge(line=line_facts(shop.line), at=NOW)
        self.packs = packs_in_force()

    def judge(self, *, line: LineFacts, at: datetime, customer_place: str | None) -> Verdict:
        """Say yes."""
        del line, at, customer_place
        return self._verdict


def desired_state(shop: Shop) -> None:
    """Print what building the desired state costs with the register and without, and its growth."""
    nobody = Yes(shop)
    print("desired state, seconds (each round rolled back; pages of 500)")
    print(f"  {'devices':>9}{'without':>10}{'with':>10}{'ratio':>8}   aim <= 1.1")
    for size in SIZES:
        fill(shop, size)
        keys = list(Subscription.objects.order_by("pk").values_list("pk", flat=True))
        without, judged = [], []
        for _ in range(ROUNDS if size == min(SIZES) else 1):
            without.append(_built(keys, size, lambda: nobody))
            judged.append(_built(keys, size, load_register))
        least, most = min(without), min(judged)
        print(f"  {size:>9,}{least:>10.2f}{most:>10.2f}{most / least:>8.3f}")


def _built(keys: list[int], size: int, register: Callable[[], object]) -> float:
    original = devices.load_register
    devices.load_register = register  # type: ignore[assignment]
    try:
        with contextlib.suppress(_Undo), transaction.atomic():
            taken = timed(lambda: _refresh(keys))
            assert PoolCurrent.objects.filter(kind="put").count() == size
            raise _Undo
    finally:
        devices.load_register = original
    return taken


class _Undo(Exception):
    """Rolls a round back, so that the next begins at the same place."""


def _refresh(keys: list[int]) -> None:
    for at in range(0, len(keys), PAGE):
        devices.refresh_all(subscriptions=keys[at : at + PAGE], now=NOW)


def fill(shop: Shop, size: int) -> None:
    """Bring the shop to so many customers, each with a term and one device, in bulk."""
    have = Device.objects.count()
    numbers = range(have, size)
    day = NOW.date()
    accounts = Account.objects.bulk_create(
        [Account(number_hash=f"{n:064d}", place="XD", created_on=day) for n in numbers], PAGE
    )
    subscriptions = Subscription.objects.bulk_create(
        [
            Subscription(account=account, service=shop.service, plan=shop.plan, anchor_at=NOW)
            for account in accounts
        ],
        PAGE,
    )
    ends_at = NOW + timedelta(days=31)
    Period.objects.bulk_create(
        [
            Period(
                subscription=subscription,
                kind=Period.Kind.PURCHASE,
                starts_at=NOW,
                ends_at=ends_at,
                source_code=f"ord_{n}",
                posted_at=NOW,
            )
            for n, subscription in zip(numbers, subscriptions, strict=True)
        ],
        PAGE,
    )
    Device.objects.bulk_create(
        [_device(n, one) for n, one in zip(numbers, subscriptions, strict=True)], PAGE
    )


def _device(number: int, subscription: Subscription) -> Device:
    slot = number + 2
    return Device(
        subscription=subscription,
        name="phone",
        public_key=_key(number),
        slot=slot,
        ip4=f"10.{64 + (slot >> 16)}.{slot >> 8 & 255}.{slot & 255}",
        ip6=f"fd7a:5eed:1::{slot:x}",
        created_on=NOW.date(),
    )


def _key(number: int) -> str:
    """Return what looks like a public key."""
    return packs.digest_of(str(number))[:42] + "A="


# --- a year of decisions ----------------------------------------------------------------------


def decisions(shop: Shop, home: Path) -> None:
    """Print what writing a chain to a file and following it offline costs, and its growth."""
    print("chain of decisions, seconds")
    print(
        f"  {'decisions':>9}{'export':>9}{'verify':>9}{'bare hash':>11}{'verify/bare':>13}{'MB':>7}"
    )
    for count in DECISIONS:
        path = home / f"{count}.jsonl"
        with contextlib.suppress(_Undo), transaction.atomic():
            Decision.objects.bulk_create(_chained(shop, count), PAGE)
            with path.open("w", encoding="utf-8") as file:
                export = timed(lambda: file.writelines(exported_decisions()))
            raise _Undo
        lines = path.read_bytes().splitlines(keepends=True)
        verify = min(timed(lambda: chainfile.verify(lines)) for _ in range(ROUNDS))  # noqa: B023 -- at once
        bare = min(timed(lambda: _bare(lines)) for _ in range(ROUNDS))  # noqa: B023 -- at once
        size = path.stat().st_size / 1e6
        figures = f"{export:>9.2f}{verify:>9.2f}{bare:>11.2f}{verify / bare:>13.1f}{size:>7.0f}"
        print(f"  {count:>9,}{figures}")
    _offline(path)


def _offline(path: Path) -> None:
    """Follow the file as an auditor does, and once more with one byte altered."""
    command = [sys.executable, "-m", "ferriage", "register", "verify", path.name]
    began = time.perf_counter()
    subprocess.run(command, cwd=path.parent, check=True, capture_output=True)
    taken = time.perf_counter() - began
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 3] ^= 1
    path.write_bytes(data)
    found = subprocess.run(command, cwd=path.parent, check=False, capture_output=True, text=True)
    assert found.returncode == 1
    print(
        f"  `ferriage register verify`, whole: {taken:.1f} s; one byte altered: {found.stderr}",
        end="",
    )


def _bare(lines: list[bytes]) -> None:
    for line in lines:
        hashlib.sha256(line).hexdigest()
        json.loads(line)


def _chained(shop: Shop, count: int) -> Iterator[Decision]:
    """Yield Decisions such as `write_decision` writes, on what the shop's register holds."""
    register = load_register()
    facts: Facts = register.facts(line_facts(shop.line), "XD")
    digest = inputs_digest(facts)
    last = Decision.objects.order_by("-sequence").first()
    sequence, previous = (last.sequence, last.hash) if last else (0, chain.GENESIS)
    for number in range(sequence + 1, count + 1):
        decision = Decision(
            sequence=number,
            at=NOW + timedelta(seconds=number),
            subject=f"ord_{number:016d}",
            line_code=shop.line.code,
            inputs_digest=digest,
            packs=register.packs.versions,
            allowed=True,
            reasons=[],
            valid_until=NOW + timedelta(days=365),
            previous_hash=previous,
        )
        previous = decision.hash = chain.link(previous, decision_content(decision))
        yield decision


def main() -> None:
    """Make the shop, and measure."""
    config = settings.FERRIAGE
    demo = replace(config.approvals, packs=(str(packs.demo_path()),))
    settings.FERRIAGE = replace(config, approvals=demo)
    call_command("migrate", verbosity=0)
    lawbook.accept(*lawbook.everyday())
    prepare_site()
    from ferriage.approvals.actions import create_party

    with tempfile.TemporaryDirectory(prefix="ferriage-bench-") as home:
        party = create_party(name="Demo Lines Ltd", place="XD", now=NOW, actor=OWNER)
        shop = open_shop(Yard(party, Path(home) / "evidence", NOW))
        judgements(shop)
        desired_state(shop)
        decisions(shop, Path(home))


main()
