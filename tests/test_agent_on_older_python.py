"""What a gateway runs is written for Python 3.11, Debian 12's; the shop's own rooms are not.

Here the grammar is asked, which needs no such Python. `tests/cli/test_second_gateway.py` runs an
agent under one, and `make lint` asks mypy for what its library lacks.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
ROOMS = ("agent", "config", "wire")
# The last one writes the settings that the others must not find, or they would begin their work.
COMMANDS = (
    *(["agent", "run"], ["hold"], ["agent", "doctor"], ["agent", "remove"]),
    ["agent", "enrol", "x"],
)
LOADED = f"""
import sys
from ferriage.cli import main
for words in {COMMANDS}:
    main(words)
print(*(m.__file__ for n, m in sys.modules.items() if n.split(".")[0] == "ferriage"))
"""


def _files(tmp_path: Path) -> set[Path]:
    """Return what the rooms hold, and what a gateway's commands load besides."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        env={**os.environ, "FERRIAGE_CONFIG": str(tmp_path / "none.toml")},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = {Path(name) for name in done.stdout.splitlines()[-1].split()}
    rooms = {path for room in ROOMS for path in (SOURCE / "ferriage" / room).rglob("*.py")}
    return loaded | rooms


def test_what_a_gateway_loads_is_python_3_11(tmp_path: Path) -> None:
    files = _files(tmp_path)

    assert SOURCE / "ferriage/cli/front.py" in files
    for file in files:
        ast.parse(file.read_text(), str(file), feature_version=(3, 11))


def test_grammar_of_3_12_is_seen() -> None:
    for text in ("type Name = str", "def same[T](one: T) -> T: ..."):
        with pytest.raises(SyntaxError):
            ast.parse(text, feature_version=(3, 11))
