"""Lines, approvals and determinations that the register's tests judge."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from ferriage.approvals import packs
from ferriage.approvals.facts import (
    ApprovalFacts,
    DeterminationFacts,
    Facts,
    LineFacts,
    PartyFacts,
    Question,
)

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
BUILTIN = packs.load_builtin()
DEMO = packs.load([packs.demo_path()], allow_user_assigned=True)

SEED_OPERATOR = PartyFacts("pty_SEED", "CN")


def line(enter: str, exit_: str, *sell: str, operator: str | None = None, **more: Any) -> LineFacts:
    """Return a public resale line, operated from where it enters unless told otherwise."""
    values: dict[str, Any] = {
        "code": "ln_1",
        "operator": PartyFacts("pty_1", operator or enter),
        "enter": enter,
        "exit": exit_,
        "sell_places": sell,
        "customer_class": "public",
        "use": "resale",
    }
    return LineFacts(**{**values, **more})


def office_line(enter: str, exit_: str, *sell: str, operator: str) -> LineFacts:
    return line(
        enter, exit_, *sell, operator=operator, customer_class="own_staff", use="internal_office"
    )


DEMO_LINE = line("XD", "XD", "XD")


def approval(**more: Any) -> ApprovalFacts:
    """Return an approval that opens the demo line from 1 March 2026 to 28 February 2027."""
    values: dict[str, Any] = {
        "code": "apr_1",
        "kind": "XD-PUBLIC-VPN",
        "holder": "pty_1",
        "state": "granted",
        "counts_from": datetime(2026, 3, 1, tzinfo=UTC),
        "valid_from": date(2026, 3, 1),
        "valid_to": date(2027, 2, 28),
        "lines": frozenset({"ln_1"}),
        "has_number": True,
        "has_evidence": True,
        "verified": True,
    }
    return ApprovalFacts(**{**values, **more})


def lease(**more: Any) -> ApprovalFacts:
    """Return a lessee's contract for an international private line out of mainland China."""
    return approval(kind="CN-INTL-LINE-LEASE", **more)


def determination(question: Question, subject: LineFacts, **more: Any) -> DeterminationFacts:
    """Return a conclusion of 1 November 2026 that nothing is required."""
    values: dict[str, Any] = {
        "code": "det_1",
        "party": subject.operator.code,
        "place": question.place,
        "role": question.role,
        "customer_class": subject.customer_class,
        "use": subject.use,
        "answer": "not_required",
        "grade": "own",
        "made_at": datetime(2026, 11, 1, 9, tzinfo=UTC),
        "review_by": date(2027, 4, 30),
    }
    return DeterminationFacts(**{**values, **more})


def facts(subject: LineFacts, customer_place: str | None = None, **more: Any) -> Facts:
    return Facts(line=subject, customer_place=customer_place, **more)


def write_pack(path: Path, *, place: str = "JP", rows: str = "", head: str = "") -> Path:
    """Write a pack of one authority, one source and one kind, with the rows given."""
    path.write_text(
        f"""
schema = 1
place = "{place}"
version = "1"
time_zone = "Asia/Tokyo"
names = {{ en = "Somewhere" }}
{head}
[[authorities]]
code = "{place}-A"
name = "An authority"

[[sources]]
key = "act"
title = "An act"
standing = "primary"
read = "text"
read_on = 2026-11-24

[[sources]]
key = "paper"
title = "A newspaper"
standing = "secondary"
read = "text"
read_on = 2026-11-24

[[sources]]
key = "quoted"
title = "An act, quoted"
standing = "primary"
read = "quotation"
read_on = 2026-11-24

[[kinds]]
code = "{place}-LICENCE"
names = {{ en = "A licence" }}
authority = "{place}-A"
roles = ["operate", "enter", "exit", "cross", "sell"]
customer_classes = ["public"]
uses = ["resale"]
clause = "1"
source = "act"

[[kinds]]
code = "{place}-NOTICE"
names = {{ en = "A notification" }}
authority = "{place}-A"
roles = ["operate", "enter", "exit", "cross", "sell"]
customer_classes = ["public"]
uses = ["resale"]
clause = "1"
source = "act"
open_ended = true
counts = "on_lodging"
{rows}
""",
        encoding="utf-8",
    )
    return path


def row(answer: str, *, roles: str = '"operate"', **more: str) -> str:
    """Return the TOML of one row for public resale."""
    values = {
        "roles": f"[{roles}]",
        "customer_classes": '["public"]',
        "uses": '["resale"]',
        "answer": f'"{answer}"',
        "clause": '"1"',
        "source": '"act"',
        "effective_from": "2020-01-01",
        **more,
    }
    return "\n[[rows]]\n" + "\n".join(f"{key} = {value}" for key, value in values.items()) + "\n"


EVERY_ROLE = '"operate", "enter", "exit", "cross", "sell"'
