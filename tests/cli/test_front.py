"""The command line itself: help, exit codes, and words for people instead of tracebacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ferriage.cli.front import parser
from running_ferriage import ferriage

if TYPE_CHECKING:
    from pathlib import Path


def test_help_lists_commands_with_examples_and_exit_codes(tmp_path: Path) -> None:
    done = ferriage(tmp_path, "--help")

    assert done.returncode == 0
    assert "ferriage demo" in done.stdout
    assert "3  not set up" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["up"],
        ["site"],
        ["hub"],
        ["worker", "--once"],
        ["agent", "run"],
        ["hold"],
        ["ledger", "check"],
        ["staff", "invite"],
        ["gateway", "add", "one", "--place", "SE"],
        ["device", "add", "laptop", "--mine"],
    ],
)
def test_command_without_settings_says_what_to_do_and_ends_with_3(
    tmp_path: Path, arguments: list[str]
) -> None:
    done = ferriage(tmp_path, *arguments)

    assert done.returncode == 3
    assert "ferriage init" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_setting_is_named_and_nothing_starts(tmp_path: Path) -> None:
    (tmp_path / "ferriage.toml").write_text('[site]\nlisten_on = "127.0.0.1:1"\n')

    done = ferriage(tmp_path, "up")

    assert done.returncode == 3
    assert "site.listen_on" in done.stderr


def test_wrong_command_line_ends_with_2(tmp_path: Path) -> None:
    assert ferriage(tmp_path, "sell").returncode == 2


def test_every_command_names_a_function_that_is_there() -> None:
    from importlib import import_module

    runs = set(_runs(parser()))

    assert len(runs) > 12
    for run in runs:
        module, function = run.split(":")
        assert callable(getattr(import_module(f"ferriage.cli.{module}"), function))


def _runs(top: object) -> list[str]:
    found = []
    for action in top._actions:
        for sub in getattr(action, "choices", None) or {}:
            child = action.choices[sub] if isinstance(action.choices, dict) else None
            if child is not None:
                found += [child.get_default("run")] if child.get_default("run") else []
                found += _runs(child)
    return found


def test_reference_lists_every_setting_with_its_default() -> None:
    import json
    from dataclasses import fields
    from pathlib import Path

    from ferriage.config import _SECTIONS

    page = (Path(__file__).parents[2] / "docs/reference/settings.md").read_text()

    for section, kind in _SECTIONS.items():
        part = page.split(f"## `[{section}]`")[1].split("\n## ")[0]
        rows = [f"| `{item.name}` | `{json.dumps(item.default)}` |" for item in fields(kind)]
        assert [row for row in rows if row not in part] == []


def test_reference_names_every_command() -> None:
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs/reference/cli.md").read_text()

    names = {run.split(":")[1].split("_")[0] for run in _runs(parser())} - {"run", "add"}
    assert [name for name in sorted(names) if name not in page] == []
