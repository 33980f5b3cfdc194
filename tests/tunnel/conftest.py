"""Fixture of the tests with real packets."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tunnel_world import World, build

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    if os.geteuid() != 0 or not shutil.which("wireguard-go"):
        pytest.skip("needs root and wireguard-go")
    param = getattr(request, "param", 1)
    siblings = param == "siblings"
    built = build(tmp_path, pools=2 if siblings else param, siblings=siblings)
    try:
        yield built
    finally:
        built.close()
