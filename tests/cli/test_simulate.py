"""Simulated agents against a real site and hub, and what the simulation makes of what it saw."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ferriage.cli import simulate
from ferriage.cli.simulate.agents import Applied, Tally
from ferriage.cli.simulate.figures import delays, percentile
from ferriage.cli.words import CommandError
from running_ferriage import ferriage

if TYPE_CHECKING:
    from pathlib import Path


def test_fleet_follows_every_change_and_comes_back_after_an_outage(tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "ferriage", "simulate", "--gateways", "6", "--pools", "2"),
        *("--devices", "40", "--processes", "2", "--rate", "10", "--seconds", "2", "--outage", "1"),
    ]
    # A database of somebody's shop in the environment must not be touched, or even opened.
    environ = {**os.environ, "FERRIAGE_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"}

    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(
        r"^20 changes, [\d.]+ a second, were applied 60 times\.$", done.stdout, re.MULTILINE
    )
    assert re.search(r" 6 snapshots, \d+ reports; [1-9]\d* failed, 0 batches refused", done.stdout)
    assert "Site and hub were killed for 1 s while the shop went on selling." in done.stdout
    assert "Each of 6 agents holds its pool's revision and digest" in done.stdout
    assert re.search(r" had caught up [\d.]+ s later; \d+ requests failed meanwhile", done.stdout)
    rows = re.findall(r"^(\w+) +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+ +\d+$", done.stdout, re.MULTILINE)
    assert rows == ["shop", "site", "hub", "database", "agents"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.django_db
def test_database_that_holds_something_is_refused() -> None:
    with pytest.raises(CommandError, match="This database is not empty"):
        simulate._refuse_used()


def test_more_pools_than_gateways_are_refused(tmp_path: Path) -> None:
    done = ferriage(tmp_path, "simulate", "--gateways", "2", "--pools", "3")

    assert done.returncode == 2
    assert "Every pool needs a gateway" in done.stderr


def test_each_agent_counts_each_change_that_it_applied() -> None:
    tally = Tally(applied=[Applied("p", 1, 3, 10.5), Applied("p", 1, 2, 10.2)])
    tally.add(Tally(applied=[Applied("q", 3, 4, 20.0), Applied("p", 3, 4, 11.0)]))
    committed = {("p", 2): 10.0, ("p", 3): 10.25, ("q", 4): 20.1}

    assert delays(tally, committed) == pytest.approx([0.0, 0.2, 0.25, 0.5])


@pytest.mark.parametrize(("part", "value"), [(50, 50.0), (99, 99.0), (100, 100.0), (1, 1.0)])
def test_percentile_is_the_least_value_that_so_many_do_not_pass(part: int, value: float) -> None:
    assert percentile([float(number) for number in range(1, 101)], part) == value
