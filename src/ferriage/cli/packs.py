"""Rule packs on the command line: whether files can be used, and what they say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ferriage.approvals import packs
from ferriage.cli.words import CommandError, Exit, complain, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from ferriage.approvals.packfile import Kind, Row, Source
    from ferriage.approvals.packs import Pack


def check(parsed: argparse.Namespace) -> int:
    """Check each file, or the packs that ship; name the fault of each that cannot be used."""
    code = Exit.DONE
    for path in map(Path, parsed.files) if parsed.files else packs.builtin_paths():
        try:
            pack = packs.load_file(path, allow_user_assigned=True)
        except packs.PackError as error:
            complain(str(error))
            code = Exit.REFUSED
        else:
            say(f"{path.name}: {_head(pack)}; {len(pack.kinds)} kinds, {len(pack.rows)} rows")
    return code


def explain(parsed: argparse.Namespace) -> int:
    """List what a place's pack says, with the source of each row."""
    known = packs.load(map(Path, parsed.file), allow_user_assigned=True)
    pack = known.get(parsed.place.upper())
    if pack is None:
        places = ", ".join(sorted(known.by_place))
        raise CommandError(
            f"No pack speaks for {parsed.place}, so everything there is unknown and refused. "
            f"There are packs for {places}."
        )
    for line in _lines(pack):
        say(line)
    return Exit.DONE


def _lines(pack: Pack) -> Iterator[str]:
    yield _head(pack)
    yield "Data, not legal advice."
    for kind in pack.kinds.values():
        yield from _kind_lines(kind, pack)
    for row in pack.rows:
        yield from _row_lines(row, pack.sources[row.source])


def _head(pack: Pack) -> str:
    invented = ", INVENTED" if pack.invented else ""
    return f"{pack.place} {pack.names['en']}, version {pack.version}{invented}"


def _kind_lines(kind: Kind, pack: Pack) -> Iterator[str]:
    authority = pack.authorities[kind.authority]
    yield f"\nkind {kind.code}: {kind.names['en']}"
    yield f"  given by   {authority.name}"
    yield f"  covers     {', '.join(kind.roles)} | {_who(kind)}"
    yield f"  counts     {kind.counts.replace('_', ' ')}"
    yield from _source_lines(kind.clause, pack.sources[kind.source])


def _row_lines(row: Row, source: Source) -> Iterator[str]:
    yield f"\n{', '.join(row.roles)} | {_who(row)}"
    yield f"  answer     {' '.join((row.answer, *row.kinds))}, from {row.effective_from}"
    yield from _source_lines(row.clause, source)


def _who(what: Kind | Row) -> str:
    return f"{', '.join(what.customer_classes)} | {', '.join(what.uses)}"


def _source_lines(clause: str, source: Source) -> Iterator[str]:
    read = f"{source.read} read on {source.read_on}" if source.read_on else "not read yet"
    yield f"  source     {', '.join(part for part in (clause, source.title) if part)}"
    yield f"             {source.standing}, {read}"
