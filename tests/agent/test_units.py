"""The units of deploy/ start commands that exist, and systemd understands them."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
UNITS = sorted((HOUSE / "deploy").glob("*.service"))
PROGRAM = "/opt/ferriage/.venv/bin/ferriage"
HERE = Path(sys.prefix) / "bin" / "ferriage"


def _command(unit: Path) -> list[str]:
    parsed = configparser.RawConfigParser(strict=False)
    parsed.read(unit)
    return parsed["Service"]["ExecStart"].split()


def test_there_is_a_unit_for_every_process() -> None:
    commands = [_command(unit) for unit in UNITS]

    assert sorted(" ".join(rest) for _, *rest in commands) == [
        "agent run",
        "hold",
        "hub",
        "site",
        "worker",
    ]
    assert {program for program, *_ in commands} == {PROGRAM}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_starts_a_command_that_exists(unit: Path) -> None:
    done = subprocess.run(
        [HERE, *_command(unit)[1:], "--help"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    copies = []
    for unit in UNITS:
        copies.append(tmp_path / unit.name)
        copies[-1].write_text(unit.read_text().replace(PROGRAM, str(HERE)))

    done = subprocess.run(
        ["systemd-analyze", "verify", *copies], capture_output=True, text=True, check=False
    )

    said = (done.stdout + done.stderr).splitlines()
    assert [line for line in said if "ferriage" in line] == []
