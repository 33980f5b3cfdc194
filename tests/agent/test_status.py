from __future__ import annotations

from typing import TYPE_CHECKING

import feed
from ferriage import wire
from ferriage.agent import status
from ferriage.agent.feed import Pool
from ferriage.agent.store import Store

if TYPE_CHECKING:
    from pathlib import Path


def _status(refused: dict[str, str]) -> wire.PoolStatus:
    return status.of_pool(
        Pool(feed.ASSIGNMENT),
        digest=wire.DIGEST_ZERO,
        peers=0,
        line_open=False,
        refused=refused,
    )


def test_a_report_of_very_many_refusals_and_warnings_stays_small() -> None:
    refused = {f"dev_{number:06}": "no room " * 1000 for number in range(60_000)}
    known = {f"watch {number:03}": "it does not answer " * 1000 for number in range(150)}

    told = _status(refused)
    warned = status.warnings(known, {feed.POOL: refused})

    assert [entry.device for entry in told.refused] == [f"dev_{n:06}" for n in range(100)]
    assert warned[-1] == "warnings: 51 more"
    assert len(warned) == 101
    assert len(wire.encode(told)) + len(wire.encode(list(warned))) < 100_000


def test_a_hundred_refusals_are_told_whole_and_more_are_counted() -> None:
    refused = {f"dev_{number:03}": "slot is held" for number in range(101)}
    fits = dict(list(refused.items())[:100])

    assert len(_status(fits).refused) == 100
    assert status.warnings({}, {feed.POOL: fits}) == ()
    assert status.warnings({"apply": "nft: full"}, {feed.POOL: refused}) == (
        "apply: nft: full",
        f"refused {feed.POOL}: 1 more than are listed",
    )


def test_numbers_rise_over_restart_loss_of_the_file_and_a_clock_set_back(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite3"
    store = Store(path)
    given = [store.next_number("sequence", least=least) for least in (1000, 1000, 500)]
    store.close()
    path.unlink()
    store = Store(path)

    given += [store.next_number("sequence", least=least) for least in (2000, 1999)]
    store.close()

    assert given == [1000, 1001, 1002, 2000, 2001]
