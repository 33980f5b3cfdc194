"""Bars by month or day: where everything goes on the page, worked out before it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

WIDTH: Final = 720
HEIGHT: Final = 240
_LEFT: Final = 8
_BASE: Final = 210
_TOP: Final = 24
_GAP: Final = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One figure of one month or day; one below zero has no height.

    Lengths are text: a template would write numbers with the comma of some languages.
    """

    figure: str
    minor: int
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The bars of a month, and where its name stands. Of a chart by days it is a day."""

    month: date
    bars: tuple[Bar, ...]
    middle: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Groups side by side; `highest_minor` is what the line at `top` stands for."""

    groups: tuple[Group, ...]
    highest_minor: int
    width: int = WIDTH
    height: int = HEIGHT
    base: int = _BASE
    top: int = _TOP
    label_y: int = _BASE + 20


def draw(rows: Sequence[tuple[date, Sequence[tuple[str, int]]]]) -> Chart:
    """Return the chart of some months, each with the same figures in the same order."""
    highest = max((minor for _month, figures in rows for _name, minor in figures), default=0)
    step = (WIDTH - 2 * _LEFT) / max(len(rows), 1)
    groups = tuple(
        _group(month, figures, _LEFT + number * step, step, max(highest, 1))
        for number, (month, figures) in enumerate(rows)
    )
    return Chart(groups=groups, highest_minor=max(highest, 0))


def _group(
    month: date, figures: Sequence[tuple[str, int]], left: float, step: float, highest: int
) -> Group:
    width = step * (1 - _GAP) / len(figures)
    bars = []
    for number, (name, minor) in enumerate(figures):
        height = (_BASE - _TOP) * max(minor, 0) / highest
        bars.append(
            Bar(
                figure=name,
                minor=minor,
                x=f"{left + step * _GAP / 2 + number * width:.1f}",
                y=f"{_BASE - height:.1f}",
                width=f"{width:.1f}",
                height=f"{height:.1f}",
            )
        )
    return Group(month=month, bars=tuple(bars), middle=f"{left + step / 2:.1f}")
