"""`ferriage list`: what there is, with the codes that other commands ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.cli import house
from ferriage.cli.words import Exit, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence


def run(_: argparse.Namespace) -> int:
    """Print lines, plans and gateways."""
    house.enter()
    for title, rows in (
        ("Lines", list(_lines())),
        ("Plans", list(_plans())),
        ("Gateways", list(_gateways())),
    ):
        say(f"{title}:" if rows else f"{title}: none")
        for row in table(rows):
            say(f"  {row}")
    return Exit.DONE


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines of text, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _lines() -> Iterator[tuple[str, ...]]:
    from ferriage.fleet.models import Line

    for line in Line.objects.order_by("pk"):
        sold = ", ".join(line.sell_places)
        way = f"{line.enter_place} → {line.exit_place}, sold in {sold}"
        yield line.code, line.name, line.get_state_display(), way


def _plans() -> Iterator[tuple[str, ...]]:
    from ferriage.plans.models import Plan

    for plan in Plan.objects.select_related("service").order_by("service__position", "pk"):
        yield plan.code, plan.name, f"of {plan.service}", "withdrawn" if plan.withdrawn_at else ""


def _gateways() -> Iterator[tuple[str, ...]]:
    from ferriage.fleet.models import Gateway

    for gateway in Gateway.objects.order_by("name"):
        where = f"{gateway.endpoint_host or 'no address yet'}, UDP {gateway.endpoint_port}"
        state = gateway.get_state_display()
        yield gateway.code, gateway.name, state, gateway.place, where
