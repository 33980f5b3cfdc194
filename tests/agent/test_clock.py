from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from ferriage.agent.clock import SiteClock, boot_id, boot_seconds
from ferriage.agent.store import CLOCK_SECONDS, Store

if TYPE_CHECKING:
    from pathlib import Path


class Boot:
    """A boot clock that the test moves."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_site_time_runs_on_with_the_boot_clock() -> None:
    boot = Boot()
    clock = SiteClock(site_time=5000, boottime=boot)

    boot.seconds += 12.5

    assert clock.now() == 5012.5


def test_verified_now_replaces_what_contradicts_it() -> None:
    boot = Boot()
    clock = SiteClock(site_time=5000, boottime=boot)

    clock.learn(now=9000, sent=boot.seconds, received=boot.seconds)

    assert clock.now() == 9000.5


@given(
    offset=st.floats(1e6, 2e9),
    calls=st.lists(st.tuples(st.floats(0, 30), st.floats(0, 0.2), st.floats(0, 0.2)), min_size=1),
)
def test_answers_pin_the_offset_within_a_second(
    offset: float, calls: list[tuple[float, float, float]]
) -> None:
    boot = Boot()
    clock = SiteClock(site_time=0, boottime=boot)

    for pause, there, back in calls:
        boot.seconds += pause
        sent = boot.seconds
        signed = int(sent + there + offset)
        boot.seconds += there + back
        clock.learn(now=signed, sent=sent, received=boot.seconds)

    assert abs(clock.now() - (boot.seconds + offset)) <= 0.71


def _remembered(tmp_path: Path, clock: str) -> float:
    """Return site time as a file knows it that says this of the clock."""
    store = Store(tmp_path / "state.sqlite3")
    try:
        store.put("clock", clock)
        return store.clock()
    finally:
        store.close()


def test_restart_goes_on_where_the_boot_clock_is(tmp_path: Path) -> None:
    found = _remembered(tmp_path, f"{boot_id()} {boot_seconds() - 50} 5000")

    assert 5050 <= found < 5051


def test_reboot_takes_site_time_back_behind_nothing_that_had_ended(tmp_path: Path) -> None:
    found = _remembered(tmp_path, "another-boot 12345.0 5000")

    # The host may have run on for almost a minute after that was written down.
    assert 0 <= found - (5000 + CLOCK_SECONDS + boot_seconds()) + 1 <= 1
