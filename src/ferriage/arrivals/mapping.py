"""The operator's word on what customers of another system get here: a TOML file.

A dry run writes a draft of it, in which every answer that only the operator can give is empty.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext as _

from ferriage.approvals.packfile import is_place
from ferriage.core.errors import FerriageError
from ferriage.core.money import is_currency

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ferriage.arrivals.sources import Source

LEFT_OUT: Final = "none"
"""What stands in place of a plan of ours for customers who are not taken over."""
_KEYS: Final = {"source", "place", "currency", "language", "never_until", "plans"}
_PLAN_KEYS: Final = {"to", "place"}
_SOURCE: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,39}")


class MappingWrong(FerriageError):
    """A mapping file with something in it that cannot be meant."""

    slug = "mapping-wrong"
    status = 422


@dataclass(frozen=True, slots=True)
class PlanRule:
    """What a plan of theirs becomes: code of a plan of ours, `LEFT_OUT`, or empty (not said)."""

    to: str
    place: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What a mapping file says. `source` names the shop that customers come from, once and for all.

    `place` is where its customers are; `never_until` ends times that have no end there.
    """

    source: str
    place: str = ""
    currency: str = ""
    language: str = "en"
    never_until: datetime | None = None
    plans: Mapping[str, PlanRule] = field(default_factory=dict)


def read(text: str) -> Rules:
    """Read a mapping file.

    Raises:
        MappingWrong: It is no TOML, or a key or value cannot be meant; the message names it.
    """
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _wrong(_("The mapping file is no TOML: %(why)s") % {"why": error}) from error
    _only(found, _KEYS)
    plans = found.get("plans", {})
    if not isinstance(plans, dict):
        raise _wrong(_("“plans” is a table with one table for each plan."))
    source, place = _text(found, "source"), _text(found, "place")
    if not _SOURCE.fullmatch(source):
        raise _wrong(_("“source” is a name of at most 40 small letters, digits, hyphens and dots."))
    currency = _text(found, "currency")
    if currency and not is_currency(currency):
        raise _wrong(_("“%(code)s” is no currency.") % {"code": currency})
    return Rules(
        source=source,
        place=_place(place),
        currency=currency,
        language=_text(found, "language") or "en",
        never_until=_date(found.get("never_until", "")),
        plans={key: _rule(key, rule, place) for key, rule in plans.items()},
    )


def draft(source: Source) -> str:
    """Return a mapping file for a source, its answers empty."""
    counts = Counter(customer.plan for customer in source.customers)
    balances = sum(1 for customer in source.customers if customer.balance_cents)
    endless = sum(1 for customer in source.customers if customer.endless)
    lines = [
        "# What customers who come over get here. Fill in what is empty and run the command again.",
        "",
        "# The shop that they come from. Never change it: by it, nobody comes over twice.",
        f"source = {_quoted(source.system)}",
        "# Where they are (ISO 3166, such as SE). The register is asked with it.",
        'place = ""',
        f"# What their balances are in (ISO 4217, such as CNY). {balances} have one.",
        'currency = ""',
        "# How gateways speak to them until they choose.",
        'language = "en"',
        f"# Last day of times without end, such as 2027-12-31. {endless} have one, and stay",
        "# where they are while this is empty.",
        'never_until = ""',
    ]
    for plan in source.plans:
        lines += [
            "",
            f"# {_one_line(plan.title)}: {counts[plan.key]} customers",
            f"[plans.{_quoted(plan.key)}]",
            f'# Code of a plan here (`ferriage list`), or "{LEFT_OUT}" to leave them out.',
            'to = ""',
        ]
    return "\n".join(lines) + "\n"


def _rule(key: str, rule: Any, place: str) -> PlanRule:
    if not isinstance(rule, dict):
        raise _wrong(_("“plans.%(key)s” is a table.") % {"key": key})
    _only(rule, _PLAN_KEYS)
    return PlanRule(_text(rule, "to"), _place(_text(rule, "place") or place))


def _only(found: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(found) - known)
    if unknown:
        raise _wrong(_("The mapping file has no use for “%(key)s”.") % {"key": unknown[0]})


def _text(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key, "")
    if not isinstance(value, str):
        raise _wrong(_("“%(key)s” is a text in quotes.") % {"key": key})
    return value.strip()


def _place(text: str) -> str:
    if text and not is_place(text):
        raise _wrong(_("“%(place)s” is no place (ISO 3166).") % {"place": text})
    return text


def _date(value: Any) -> datetime | None:
    """Return the end of a day: times without end run through it."""
    if value == "":
        return None
    try:
        day = value if type(value) is date else date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise _wrong(_("“never_until” is a day such as 2027-12-31.")) from error
    return datetime.combine(day + timedelta(days=1), time(0), UTC)


def _wrong(what: str) -> MappingWrong:
    return MappingWrong(what, _("Mend the mapping file; nothing was changed."))


def _quoted(text: str) -> str:
    """Return a basic string of TOML, which is that of JSON but for the delete character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
