"""Runs the `ferriage` command in a process of its own, as an operator does."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def ferriage(
    directory: Path, *arguments: str, stdin: str = "", **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run one command in a directory to its end; nothing of our own environment reaches it."""
    return subprocess.run(
        [sys.executable, "-m", "ferriage", *arguments],
        cwd=directory,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environ},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
