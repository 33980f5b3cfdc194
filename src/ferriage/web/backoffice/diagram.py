"""The diagram of lines: where everything goes on the page, worked out before it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import get_language

from ferriage.approvals import reasons
from ferriage.approvals.site import packs_on_file

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ferriage.approvals.packs import Packs
    from ferriage.fleet.models import Line
    from ferriage.reports.lines import End, Standing

WIDTH: Final = 920
BOX_WIDTH: Final = 185
BOX_HEIGHT: Final = 34
ROW_HEIGHT: Final = 92
HEAD: Final = 34
MOST_PLACES: Final = 5
_STEP: Final = (WIDTH - BOX_WIDTH) // 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One place of a line."""

    x: int
    y: int
    text: str

    @property
    def text_x(self) -> int:
        """The middle, where its text stands."""
        return self.x + BOX_WIDTH // 2

    @property
    def text_y(self) -> int:
        """The text's base line."""
        return self.y + BOX_HEIGHT // 2 + 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """The way from one place to the next; `border` when they follow different law."""

    x1: int
    x2: int
    y: int
    border: bool

    @property
    def middle(self) -> int:
        """Where the border is drawn."""
        return (self.x1 + self.x2) // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line as it is drawn, and the same in words."""

    standing: Standing
    y: int
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    first_end: End | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagram:
    """All lines under one another. Columns: operator, customers, entry, exit."""

    width: int
    height: int
    columns: tuple[int, ...]
    rows: tuple[Row, ...]

    @property
    def view_width(self) -> int:
        """The width with room for the outermost strokes."""
        return self.width + 4


def draw(found: Iterable[Standing], ends: Iterable[End]) -> Diagram:
    """Return the diagram of some lines.

    Args:
        ends: Soonest first; the first that concerns a line is told with it.
    """
    first: dict[int, End] = {}
    for end in ends:
        # A permit ends because something else does, which is what people can act on.
        for line in end.lines if end.what != "permit" else ():
            first.setdefault(line.pk, end)
    rows = tuple(
        _row(standing, HEAD + number * ROW_HEIGHT, first.get(standing.line.pk))
        for number, standing in enumerate(found)
    )
    return Diagram(
        width=WIDTH,
        height=HEAD + len(rows) * ROW_HEIGHT,
        columns=tuple(number * _STEP for number in range(4)),
        rows=rows,
    )


def _row(standing: Standing, y: int, first_end: End | None) -> Row:
    packs, language = packs_on_file(), get_language() or "en"
    line = standing.line
    texts = (
        reasons.place_name(line.party.place, language, packs),
        _customers(line, language, packs),
        reasons.place_name(line.enter_place, language, packs),
        reasons.place_name(line.exit_place, language, packs),
    )
    top = y + 30
    boxes = tuple(Box(x=number * _STEP, y=top, text=text) for number, text in enumerate(texts))
    # The operator answers for the line; no traffic runs from there.
    pairs = zip(boxes[1:], boxes[2:], _borders(line, packs), strict=False)
    return Row(
        standing=standing,
        y=y,
        boxes=boxes,
        arrows=tuple(
            Arrow(x1=one.x + BOX_WIDTH, x2=other.x, y=top + BOX_HEIGHT // 2, border=border)
            for one, other, border in pairs
        ),
        first_end=first_end,
        reasons=tuple(
            reasons.sentence(reason, language, packs) for reason in standing.verdict.reasons
        ),
    )


def _customers(line: Line, language: str, packs: Packs) -> str:
    places = line.sell_places
    if len(places) == 1:
        return reasons.place_name(places[0], language, packs)
    more = f" +{len(places) - MOST_PLACES}" if len(places) > MOST_PLACES else ""
    return ", ".join(places[:MOST_PLACES]) + more


def _borders(line: Line, packs: Packs) -> tuple[bool, bool]:
    """Tell whether customers' traffic crosses a border on its way in, and on its way through."""
    enter, leave = packs.jurisdiction(line.enter_place), packs.jurisdiction(line.exit_place)
    customers = {packs.jurisdiction(place) for place in line.sell_places}
    return customers != {enter}, enter != leave
