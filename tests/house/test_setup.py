"""`./setup` knows whether another user than root could run what it installs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[2] / "setup"


def _others_may_enter(path: Path) -> bool:
    """Ask the function as it stands in the script."""
    text = SETUP.read_text()
    body = text[text.index("others_may_enter() {") :].split("\n}\n")[0]
    done = subprocess.run(
        ["sh", "-c", f'{body}\n}}\nothers_may_enter "$1"', "sh", path], check=False
    )
    return done.returncode == 0


@pytest.fixture
def program(tmp_path: Path) -> Path:
    # pytest's own directories are closed to others.
    path = tmp_path / "home/bin/python3"
    path.parent.mkdir(parents=True)
    path.touch(mode=0o755)
    for directory in (path.parent, *path.parents[1:-2]):
        directory.chmod(directory.stat().st_mode | 0o005)
    return path


def test_python_in_open_directories_is_for_everybody(program: Path, tmp_path: Path) -> None:
    link = tmp_path / "python"
    link.symlink_to(program)

    assert _others_may_enter(program)
    assert _others_may_enter(link)


def test_python_below_a_closed_home_is_not(program: Path, tmp_path: Path) -> None:
    link = tmp_path / "python"
    link.symlink_to(program)
    program.parents[1].chmod(0o700)

    assert not _others_may_enter(program)
    assert not _others_may_enter(link)


def test_file_without_the_bit_for_others_is_not(program: Path) -> None:
    program.chmod(0o754)

    assert not _others_may_enter(program)
