from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ferriage import wire
from ferriage.agent.clock import SiteClock
from ferriage.agent.signs import Signs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def signs() -> Signs:
    return Signs(SiteClock(site_time=1000.0, boottime=lambda: 5.0))


def _look(signs: Signs, *found: tuple[str, str]) -> None:
    signs.begin()
    for kind, pool in found:
        signs.found(kind, pool)
    signs.settle()


def test_what_differs_at_the_first_look_is_nobodys_doing(signs: Signs) -> None:
    _look(signs, ("table", ""))

    assert signs.told() == ()


def test_what_differs_after_all_was_as_wanted_is_counted(signs: Signs) -> None:
    _look(signs)
    _look(signs, ("table", ""), ("peer", "pool_1"))
    _look(signs, ("peer", "pool_1"))

    assert signs.told() == (
        wire.Sign(kind="peer", pool="pool_1", count=2, at=1000),
        wire.Sign(kind="table", pool="", count=1, at=1000),
    )


def test_what_differs_after_a_failure_of_our_own_is_not_counted(signs: Signs) -> None:
    _look(signs)
    signs.begin()
    signs.found("peer", "pool_1")  # and then something could not be mended: no settle
    _look(signs, ("peer", "pool_1"))

    assert signs.told() == ()


@pytest.mark.parametrize(("version", "slow"), [("0.0.20220316", True), ("0.0.20230223", False)])
def test_slow_build_is_noted(signs: Signs, tmp_path: Path, version: str, *, slow: bool) -> None:
    program = tmp_path / "wireguard-go"
    program.write_text(f"#!/bin/sh\necho wireguard-go v{version}\n")
    program.chmod(0o755)

    signs.judge_build(str(program))

    assert [sign.kind for sign in signs.told()] == (["slow-build"] if slow else [])


def test_program_that_is_missing_is_not_judged(signs: Signs, tmp_path: Path) -> None:
    signs.judge_build(str(tmp_path / "none"))

    assert signs.told() == ()
