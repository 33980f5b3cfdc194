"""How programs are started where Debian's AppArmor confines them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ferriage.agent import system

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = ("unbound", "-d")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is all of PATH."""
    monkeypatch.setattr(system, "_PATH", str(tmp_path))
    return tmp_path


@pytest.fixture
def aa_exec(programs: Path) -> None:
    program = programs / "aa-exec"
    program.touch()
    program.chmod(0o755)


@pytest.fixture
def label(tmp_path: Path) -> Path:
    """What the kernel says of a process that AppArmor confines in nothing."""
    path = tmp_path / "current"
    path.write_text("unconfined\n", encoding="ascii")
    return path


@pytest.mark.usefixtures("aa_exec")
def test_unconfined_leaves_the_profile(label: Path) -> None:
    command = system.unconfined(*PLAIN, label=label)

    assert command == ("aa-exec", "-p", "unconfined", "--", *PLAIN)


@pytest.mark.usefixtures("aa_exec")
def test_unconfined_stays_in_the_profile_of_a_container(label: Path) -> None:
    label.write_text("docker-default (enforce)\n", encoding="ascii")

    assert system.unconfined(*PLAIN, label=label) == PLAIN


@pytest.mark.usefixtures("aa_exec")
def test_unconfined_is_plain_without_apparmor(tmp_path: Path) -> None:
    assert system.unconfined(*PLAIN, label=tmp_path / "none") == PLAIN


@pytest.mark.usefixtures("programs")
def test_unconfined_is_plain_without_aa_exec(label: Path) -> None:
    assert system.unconfined(*PLAIN, label=label) == PLAIN
