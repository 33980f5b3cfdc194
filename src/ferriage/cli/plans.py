"""What plans give, on the command line."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from ferriage.cli import house
from ferriage.cli.words import CommandError, Exit, say
from ferriage.core.actors import Actor

if TYPE_CHECKING:
    import argparse

_MEGABIT: Final = 1_000_000
_GIGABYTE: Final = 10**9


def set_limits(parsed: argparse.Namespace) -> int:
    """Set a plan's speeds and quota; what is not named stays as it is."""
    house.enter()
    from ferriage.core import clock
    from ferriage.devices.limits import change_limits
    from ferriage.plans.models import Plan

    plan = Plan.objects.filter(code=parsed.plan).first()
    if plan is None:
        raise CommandError(f"There is no plan {parsed.plan}. `ferriage list` names all.")
    change_limits(
        plan=plan,
        rate_down_bps=plan.rate_down_bps if parsed.down is None else parsed.down * _MEGABIT,
        rate_up_bps=plan.rate_up_bps if parsed.up is None else parsed.up * _MEGABIT,
        quota_bytes=plan.quota_bytes if parsed.quota is None else quota_bytes(parsed.quota),
        now=clock.now(),
        actor=Actor("command", "plan set"),
    )
    quota = (
        "no quota" if plan.quota_bytes is None else f"{plan.quota_bytes / _GIGABYTE:g} GB a month"
    )
    down, up = plan.rate_down_bps / _MEGABIT, plan.rate_up_bps / _MEGABIT
    say(f"{plan.name}: {down:g} / {up:g} Mbit/s, {quota}. The gateways are told.")
    return Exit.DONE


def quota_bytes(text: str) -> int | None:
    """Return a quota typed in GB as bytes; `none` is none.

    Raises:
        CommandError: It is no number.
    """
    if text == "none":
        return None
    try:
        return int(Decimal(text) * _GIGABYTE)
    except (InvalidOperation, OverflowError, ValueError) as error:
        raise CommandError(f"{text} is no number of GB. Type one, such as 500, or none.") from error
