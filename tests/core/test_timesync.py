from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ferriage.core import timesync

if TYPE_CHECKING:
    from pathlib import Path

UNSET, SET, UNTOLD = 5, 0, -1


@pytest.mark.parametrize(
    ("kernel", "marks", "state"),
    [
        (SET, [], "synchronised"),
        (SET, ["chrony"], "synchronised"),
        (1, [], "synchronised"),  # a leap second is to be inserted
        (UNSET, [], "unknown"),
        (UNTOLD, [], "unknown"),
        (UNTOLD, ["chrony"], "unknown"),
        (UNSET, ["chrony"], "waiting"),
        (UNSET, ["ntpsec"], "waiting"),
        (UNSET, ["systemd/timesync"], "waiting"),
        (UNSET, ["systemd/timesync", "systemd/timesync/synchronized"], "synchronised"),
    ],
)
def test_state_of_the_clock(tmp_path: Path, kernel: int, marks: list[str], state: str) -> None:
    for mark in marks:
        (tmp_path / mark).mkdir(parents=True, exist_ok=True)

    assert timesync.state(run=tmp_path, kernel=kernel) == state


def test_kernel_answers_with_a_state_of_the_clock() -> None:
    assert timesync.kernel_state() in range(-1, 6)


def test_clock_that_was_set_once_waits_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter(["waiting", "unknown", "synchronised", "waiting"])
    monkeypatch.setattr(timesync, "state", lambda: next(said))
    watch = timesync.Watch()

    assert [watch.waiting() for _ in range(5)] == [True, False, False, False, False]
