from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferriage.sandbox.faults import Dice, Fate, Faults


def test_dice_without_faults_let_everything_arrive() -> None:
    dice = Dice(Faults())

    assert {(dice.fate(), dice.forges()) for _ in range(1000)} == {(Fate.ARRIVES, False)}


@given(seed=st.integers())
def test_dice_fall_the_same_for_the_same_seed(seed: int) -> None:
    faults = Faults(lose=30, double=30, delay=20, reorder=20, forge=50, seed=seed)
    one, two = Dice(faults), Dice(faults)

    assert [(one.fate(), one.forges()) for _ in range(50)] == [
        (two.fate(), two.forges()) for _ in range(50)
    ]


def test_dice_keep_to_the_shares() -> None:
    dice = Dice(Faults(lose=30, double=30, delay=20, reorder=20))

    fates = Counter(dice.fate() for _ in range(10_000))

    assert {fate: round(count, -3) // 1000 for fate, count in fates.items()} == {
        Fate.LOST: 3,
        Fate.DOUBLED: 3,
        Fate.DELAYED: 2,
        Fate.REORDERED: 2,
    }


@pytest.mark.parametrize(
    ("given_faults", "message"),
    [
        ({"lose": 101}, "lose is a percentage from 0 to 100, not 101"),
        ({"forge": -1}, "forge is a percentage from 0 to 100, not -1"),
        ({"double": 0.5}, "double is a percentage from 0 to 100, not 0.5"),
        ({"lose": 60, "delay": 50}, "lose, double, delay and reorder are together more than"),
        ({"delay_seconds": "now"}, "delay_seconds is a number of seconds"),
        ({"seed": "x"}, "seed is a whole number"),
        ({"luck": 1}, "there is no fault called luck"),
    ],
)
def test_faults_refuse_what_is_none(given_faults: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Faults().changed(given_faults)
