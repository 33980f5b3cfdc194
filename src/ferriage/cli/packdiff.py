"""What a version of a rule pack would change: between two files, and for the lines of a shop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from ferriage.approvals import packdiff, packs
from ferriage.cli import house
from ferriage.cli.words import CommandError, Exit, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from datetime import datetime

    from ferriage.approvals.facts import Verdict
    from ferriage.approvals.packdiff import Difference, Field, RowChange
    from ferriage.approvals.packs import Pack
    from ferriage.approvals.voiding import Voided
    from ferriage.fleet.queries import Turn

_TWO: Final = 2


def run(parsed: argparse.Namespace) -> int:
    """Print what differs; like diff(1) 0 for nothing, 1 for something, 2 for trouble."""
    if len(parsed.files) > _TWO:
        raise CommandError("Name two files at most: the old one and the new one.", Exit.USAGE)
    if len(parsed.files) == _TWO:
        old, new = map(_file, parsed.files)
        if old.place != new.place:
            raise CommandError(
                f"The files speak for two places, {old.place} and {new.place}.", Exit.USAGE
            )
        return _show(old, new, in_shop=False)
    house.enter()
    from ferriage.approvals import site

    in_force = site.packs_in_force().by_place
    if parsed.files:
        pack = _file(parsed.files[0])
        return _show(in_force.get(pack.place), pack, in_shop=True)
    waits = site.waiting()
    for waiting in waits:
        _show(in_force.get(waiting.place), site.pack_of(waiting.digest), in_shop=True)
        say(
            f"It waits for an owner, in the back office under Rule packs. Nothing begins that it "
            f"denies, and from {_instant(waiting.counts_at)} what it denies is held.\n"
        )
    if not waits:
        say("No rule pack waits: what came to this shop is in force.")
    return Exit.REFUSED if waits else Exit.DONE


def _file(name: str) -> Pack:
    try:
        return packs.load_file(Path(name), allow_user_assigned=True)
    except packs.PackError as error:
        raise CommandError(str(error), Exit.USAGE) from error


def _show(old: Pack | None, new: Pack, *, in_shop: bool) -> int:
    difference = packdiff.compare(old, new)
    before = old.version if old else "nothing"
    say(f"{new.place} {new.names['en']}: {before} → {new.version}")
    for line in _difference_lines(difference):
        say(line)
    if in_shop:
        for line in _shop_lines(new):
            say(line)
    return Exit.REFUSED if difference else Exit.DONE


def _difference_lines(difference: Difference) -> Iterator[str]:
    if not difference:
        yield "  says the same"
    for change in difference.rows:
        yield from _row_lines(change, difference)
    for part in difference.parts:
        yield f"\n{_mark(came=part.is_new, went=part.is_gone)} {part.part} {part.code}"
        yield from map(_field_line, part.fields)


def _row_lines(change: RowChange, difference: Difference) -> Iterator[str]:
    mark = _mark(came=change.before is None, went=change.after is None)
    who = f"{', '.join(change.customer_classes)} | {', '.join(change.uses)}"
    yield f"\n{mark} {', '.join(change.roles)} | {who}"
    yield from map(_field_line, change.fields)
    named = {field.name for field in change.fields}
    row, pack = (change.after, difference.new) if change.after else (change.before, difference.old)
    if row and pack and not {"clause", "source"} <= named:
        title = pack.sources[row.source].title
        yield f"    {'cites':<15} {', '.join(part for part in (row.clause, title) if part)}"


def _mark(*, came: bool, went: bool) -> str:
    return "+" if came else "-" if went else "~"


def _field_line(field: Field) -> str:
    said = " → ".join(part or "(nothing)" for part in (field.before, field.after))
    if not field.before or not field.after:
        said = field.after or f"(no more) {field.before}"
    return f"    {field.name:<15} {said}"


# --- in a shop --------------------------------------------------------------------------------


def _shop_lines(pack: Pack) -> Iterator[str]:
    from ferriage.approvals.site import packs_in_force
    from ferriage.approvals.voiding import voided_by
    from ferriage.core import clock
    from ferriage.fleet.queries import turns

    now = clock.now()
    law = packs_in_force().with_pack(pack)
    turned, voided = turns(pack, at=now), voided_by(pack, packs=law, at=now)
    if not turned and not voided:
        yield "\nNo verdict on this shop's lines would change."
        return
    yield "\nOn this shop's lines it would change:"
    for turn in turned:
        yield from _turn_lines(turn, law)
    for void in voided:
        yield _void_line(void)


def _turn_lines(turn: Turn, law: packs.Packs) -> Iterator[str]:
    from ferriage.approvals.reasons import sentence

    mark = "✗" if turn.closes else "✓" if turn.opens else "~"
    what = f"a sale in {turn.customer_place}" if turn.customer_place else "the permit"
    change = f"{_outcome(turn.before)} → {_outcome(turn.after)}"
    yield f"{mark} {turn.line.code} {turn.line.name}, {what}: {change}"
    new = [reason for reason in turn.after.reasons if reason not in turn.before.reasons]
    yield from (f"    {sentence(reason, 'en', law)}" for reason in new)


def _outcome(verdict: Verdict) -> str:
    return f"until {_instant(verdict.valid_until)}" if verdict.allowed else "denied"


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _void_line(void: Voided) -> str:
    made = void.determination
    question = f"{made.role} {made.place}, {made.customer_class}, {made.use}"
    return (
        f"! conclusion {made.code} of {made.author_name} on {question} is void from "
        f"{_instant(void.since)}: {void.row.answer} ({void.row.clause}, {void.source})"
    )
