"""A shop's directory, made once by the real `ferriage init` and copied for each test."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from running_ferriage import ferriage

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made")
    done = ferriage(directory, "init", "--url", "https://shop.se", "--name", "Ferries")
    assert done.returncode == 0, done.stderr
    (directory / "said").write_text(done.stdout)
    return directory


@pytest.fixture
def shop(_made: Path, tmp_path: Path) -> Path:
    """A shop's directory that the test may change; `said` holds what `init` printed."""
    directory = tmp_path / "shop"
    shutil.copytree(_made, directory)
    return directory
