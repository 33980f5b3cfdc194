"""The auditor's pack: whole, checked by a clean interpreter, and silent about customers."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ferriage.accounts import actions as accounts
from ferriage.accounts.models import Account
from ferriage.approvals import actions as approvals
from ferriage.approvals import chainfile, site
from ferriage.approvals.models import Approval, Decision, Evidence
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.devices.models import Device
from ferriage.fleet import actions as fleet
from ferriage.fleet.queries import judge_line, line_facts
from ferriage.orders.models import Order
from ferriage.payments import actions as payments
from ferriage.reports import auditpack, sample, verify
from tampering import sealed_file, tampering
from yard import ISSUED, OWNER, PAPER, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from pytest_django import DjangoAssertNumQueries

    from till import Till

pytestmark = pytest.mark.django_db


def _unpacked(directory: Path, now: datetime) -> tuple[auditpack.Made, Path]:
    file = io.BytesIO()
    made = auditpack.write(file, now=now)
    zipfile.ZipFile(file).extractall(directory)
    return made, directory


def _verified(pack: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the pack's own verifier in an interpreter that has the standard library alone."""
    return subprocess.run(
        [sys.executable, "-I", "-S", "verify.py", *arguments],
        cwd=pack,
        env={},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def sold(till: Till) -> Till:
    """A shop that has sold to a named person with a named device."""
    shop = till.shop
    account = accounts.open_account(now=till.now, actor=CUSTOMER, place="XD").account
    Account.objects.filter(pk=account.pk).update(label="Zhang Wei, 4th floor")
    order = till.order(account=account)
    subscription = shop.extend(shop.account(), 1)
    device = shop.device(subscription)
    Device.objects.filter(pk=device.pk).update(name="zhangs-telephone")
    assert Order.objects.get().code == order.code
    return till


def test_pack_is_whole_and_its_verifier_says_so(sold: Till, tmp_path: Path) -> None:
    made, pack = _unpacked(tmp_path / "pack", sold.now)

    done = _verified(pack, made.seal)

    names = {path.relative_to(pack).as_posix() for path in pack.rglob("*") if path.is_file()}
    packs = {f"packs/{place}.toml" for place in site.packs_in_force().by_place}
    assert names == {
        "README.md",
        "SEAL",
        "verify.py",
        "manifest.json",
        "decisions.jsonl",
        "sample.json",
        "register/parties.json",
        "register/lines.json",
        "register/approvals.json",
        "register/clock-repairs.json",
        "register/determinations.json",
        "register/evidence.json",
        f"evidence/{hashlib.sha256(PAPER.data).hexdigest()}",
        *packs,
    }
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"Sound: {made.files} files, {made.decisions} Decisions, 1 of 1 sampled orders judged "
        f"again from the same facts and packs.\nSeal {made.seal}\n"
    )
    assert made.files == len(names) - 2
    assert made.decisions == Decision.objects.count()
    with (pack / "decisions.jsonl").open("rb") as lines:
        assert chainfile.verify(lines) == chainfile.Verified(made.decisions, made.head)


def test_packs_are_the_ones_that_the_decisions_name(sold: Till, tmp_path: Path) -> None:
    _made, pack = _unpacked(tmp_path / "pack", sold.now)

    named = Decision.objects.latest("sequence").packs
    digests = {
        path.stem: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (pack / "packs").iterdir()
    }
    assert digests == {place: version.split()[1] for place, version in named.items()}


def test_pack_says_an_approvals_changes_and_who_made_them(sold: Till, tmp_path: Path) -> None:
    fleet.suspend_approval(approval=Approval.objects.get(), now=sold.now, actor=OWNER)

    _made, pack = _unpacked(tmp_path / "pack", sold.now)

    (row,) = json.loads((pack / "register/approvals.json").read_text())
    assert (row["number"], row["state"], row["lines"]) == (
        ISSUED.number,
        "suspended",
        [sold.shop.line.code],
    )
    assert [(change["what"], change["who"]) for change in row["changes"]] == [
        ("approval.recorded", "staff:olga"),
        ("approval.granted", "staff:olga"),
        ("approval.verified", "staff:vera"),
        ("approval.suspended", "staff:olga"),
    ]


def test_one_altered_byte_in_any_file_is_found(sold: Till, tmp_path: Path) -> None:
    _made, pack = _unpacked(tmp_path / "pack", sold.now)
    files = sorted(path for path in pack.rglob("*") if path.is_file())
    unnoticed = []
    for file in files:
        whole = file.read_bytes()
        # In the verifier itself only a byte of its text: one of its code may keep it from running.
        at = whole.index(b"Checks") if file.name == "verify.py" else len(whole) // 2
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        done = _verified(pack)
        file.write_bytes(whole)
        if done.returncode != 1 or file.name not in done.stdout:
            unnoticed.append((file.name, done.stdout))

    assert len(files) > 14
    assert unnoticed == []
    assert _verified(pack).returncode == 0


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_byte_is_left_out(pack: Path, data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(sorted(path for path in pack.rglob("*") if path.is_file())))
    whole = file.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    flip = data.draw(st.integers(1, 255))

    file.write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
    try:
        assert list(verify.findings(pack))
    finally:
        file.write_bytes(whole)


@pytest.fixture
def pack(sold: Till, tmp_path: Path) -> Path:
    """A pack that a test may alter and put right again."""
    directory = _unpacked(tmp_path / "pack", sold.now)[1]
    assert list(verify.findings(directory)) == []
    return directory


def test_every_byte_of_the_seal_counts(pack: Path) -> None:
    seal = pack / "SEAL"
    whole = seal.read_bytes()
    unnoticed = []
    for at in range(len(whole)):
        # A blank for a blank, a capital for its letter: what is easily taken for the same.
        other = b" " if whole[at : at + 1] == b"\n" else bytes([whole[at] ^ 0x20])
        seal.write_bytes(whole[:at] + other + whole[at + 1 :])
        if not list(verify.findings(pack)):
            unnoticed.append(at)

    assert unnoticed == []
    assert len(whole) == 65


def test_added_and_missing_files_are_named(pack: Path) -> None:
    (pack / "packs" / "SE.toml").rename(pack / "packs" / "NO.toml")

    assert list(verify.findings(pack)) == [
        "packs/NO.toml does not belong to the pack",
        "packs/SE.toml is missing",
    ]


def test_pack_made_anew_is_told_by_the_noted_seal(sold: Till, tmp_path: Path) -> None:
    first, _pack = _unpacked(tmp_path / "first", sold.now)
    _second, other = _unpacked(tmp_path / "second", sold.now + timedelta(seconds=2))

    done = _verified(other, first.seal)

    assert done.returncode == 1
    assert "this is another pack" in done.stdout
    assert _verified(other).returncode == 0


@pytest.mark.parametrize(
    "harm", [lambda path: path.unlink(), lambda path: path.write_bytes(b"other")]
)
def test_lost_or_spoilt_evidence_is_a_finding_not_a_gap(
    sold: Till, tmp_path: Path, harm: Callable[[Path], object]
) -> None:
    """What does not open is not packed: the digest of the list tells what is missing."""
    digest = hashlib.sha256(PAPER.data).hexdigest()
    harm(sealed_file(Evidence.objects.filter(sha256=digest)[0]))

    _made, pack = _unpacked(tmp_path / "pack", sold.now)

    assert list(verify.findings(pack)) == [
        f"evidence/{digest} was not there when the pack was made"
    ]


def test_broken_chain_is_packed_and_told(pack: Path) -> None:
    """A manifest made anew over an altered chain does not hide it."""
    chain = pack / "decisions.jsonl"
    chain.write_bytes(chain.read_bytes().replace(b'"allowed":true', b'"allowed":false', 1))
    listed = json.loads((pack / "manifest.json").read_bytes())
    listed["files"]["decisions.jsonl"] = hashlib.sha256(chain.read_bytes()).hexdigest()
    (pack / "manifest.json").write_bytes(verify.canonical(listed))
    digest = hashlib.sha256((pack / "manifest.json").read_bytes()).hexdigest()
    (pack / "SEAL").write_text(f"{digest}\n")

    (finding,) = verify.findings(pack)

    assert finding.endswith("is not what its hash was made of")


# --- the sample -------------------------------------------------------------------------------


def _sample() -> list[dict[str, Any]]:
    return sample.orders(up_to=Decision.objects.count())


def test_decision_is_judged_again_from_the_facts_of_its_day(till: Till) -> None:
    """What was revoked, ended and added since does not change what is said of then."""
    till.order()
    approval = Approval.objects.get()
    later = till.now + timedelta(days=1)
    fleet.suspend_approval(approval=approval, now=later, actor=OWNER)
    yard = replace(till.shop.yard, now=later)
    yard.approve(yard.plan("another"))

    (found,) = _sample()

    assert (found["same_facts"], found["same_packs"], found["same_verdict"]) == (True,) * 3
    assert found["said"] == sample.REPEATED
    assert found["verdict"]["allowed"] is True
    states = {fact["code"]: fact["state"] for fact in found["facts"]["approvals"]}
    assert states[approval.code] == "granted"


def test_whole_life_of_an_approval_is_played_again(till: Till) -> None:
    """A Decision after each step is judged from that step's facts."""
    approval = Approval.objects.get()
    steps = (
        lambda at: fleet.suspend_approval(approval=approval, now=at, actor=OWNER),
        lambda at: approvals.reinstate(approval=approval, now=at, actor=OWNER),
        lambda at: approvals.verify(approval=approval, now=at, actor=SECOND),
        lambda at: fleet.revoke_approval(approval=approval, now=at, actor=OWNER),
    )
    order = till.order()
    for hours, step in enumerate(steps, start=1):
        at = till.now + timedelta(hours=hours)
        approval.refresh_from_db()
        step(at)
        line = till.shop.line
        verdict = judge_line(line=line, at=at, customer_place="XD")
        approvals.write_decision(
            subject=order.code,
            line=line_facts(line),
            verdict=verdict,
            customer_place="XD",
            now=at,
        )

    found = _sample()

    assert [row["verdict"]["allowed"] for row in found] == [True, False, False, True, False]
    assert [(row["same_facts"], row["same_verdict"]) for row in found] == [(True, True)] * 5


def test_facts_that_cannot_be_put_together_again_are_said(till: Till) -> None:
    till.order()
    with tampering():
        Approval.objects.update(valid_to=None, number="another")
        Approval.objects.update(created_at=till.now + timedelta(days=1))

    (found,) = _sample()

    assert (found["same_facts"], found["same_verdict"]) == (False, False)
    assert found["said"] == sample.OTHER_FACTS


def test_sample_is_spread_and_bounded(
    till: Till, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr(sample, "LARGEST", 3)
    for _ in range(7):
        till.order()
    asked = list(
        Decision.objects.filter(subject__startswith="ord_")
        .order_by("sequence")
        .values_list("sequence", flat=True)
    )

    with django_assert_num_queries(12):
        found = _sample()

    assert [row["sequence"] for row in found] == [asked[0], asked[3], asked[6]]


def test_sale_refused_for_where_the_money_came_from_is_judged_by_that_place(till: Till) -> None:
    order = till.order()
    payments.book_receipt(
        reference=till.transfer(order).reference or "",
        transaction_id="1",
        money=Money(order.amount_minor, order.currency),
        payer_place="CN",
        now=till.now,
        actor=OWNER,
    )

    found = _sample()

    assert [row["verdict"]["allowed"] for row in found] == [True, False]
    assert [(row["same_facts"], row["same_verdict"]) for row in found] == [(True, True)] * 2


def test_pack_holds_corrections_and_what_people_outside_said(till: Till, tmp_path: Path) -> None:
    former = Approval.objects.get()
    version = approvals.correct(
        approval=former,
        says=approvals.Record(
            kind=former.kind,
            holder=former.holder,
            line_codes=[till.shop.line.code],
            capacity="1 Gbit/s",
            customers="all",
        ),
        reason="The number was mistyped.",
        packs=site.packs_in_force(),
        now=till.now,
        actor=OWNER,
    )
    approvals.grant(
        approval=version,
        issued=replace(ISSUED, number="XD-2026-18"),
        file=PAPER,
        store_dir=till.shop.yard.store,
        now=till.now,
        actor=OWNER,
    )
    token = approvals.create_outside_link(subject=version, now=till.now, actor=OWNER)
    said = approvals.Answer(
        name="Ola Nordmann", relation="Auditor", looked_at="The licence itself", confirmed=True
    )
    fleet.answer_outside_link(token=token, answer=said, now=till.now)

    _made, pack = _unpacked(tmp_path / "pack", till.now)

    row = json.loads((pack / "register/approvals.json").read_text())[-1]
    assert (row["is_correction"], row["correction_reason"]) == (True, "The number was mistyped.")
    assert (row["capacity"], row["customers"]) == ("1 Gbit/s", "all")
    assert [answer["looked_at"] for answer in row["outside_answers"]] == ["The licence itself"]
