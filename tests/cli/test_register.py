"""Register and rule packs on the command line."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from ferriage.approvals.packs import demo_path
from running_ferriage import ferriage

if TYPE_CHECKING:
    from pathlib import Path

SEED = (
    *("--seller", "Zhao", "--seller-place", "CN", "--enter", "CN", "--exit", "JP"),
    *("--sell", "CN", "--currency", "CNY"),
)


def _line(shop: Path) -> str:
    with contextlib.closing(sqlite3.connect(shop / "data/ferriage.sqlite3")) as database:
        return str(database.execute("SELECT code FROM fleet_line").fetchone()[0])


@pytest.fixture
def seed(shop: Path) -> Path:
    """A shop whose line nobody may open."""
    done = ferriage(shop, "init", *SEED)
    assert done.returncode == 0, done.stderr
    return shop


def test_explain_prints_the_tree_with_notice_and_item(seed: Path) -> None:
    done = ferriage(seed, "approvals", "explain", "--line", _line(seed), "--customer", "CN")

    crossing = next(line for line in done.stdout.splitlines() if "border of China" in line)
    assert done.returncode == 1
    assert done.stdout.startswith("Not allowed.\n")
    assert "No approval can be obtained for this. (二(二)4, " in crossing
    assert "工信部信管函〔2017〕32号" in crossing
    assert "│      asked: what no authority gives" in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--line", "ln_NONE"], 1, "There is no line ln_NONE."),
        (["--line", "", "--at", "tomorrow"], 2, "not an instant"),
        (["--line", "", "--at", "2026-01-01T00:00"], 2, "names no offset"),
        (["--line", "", "--at", "9999-12-31T00:00Z"], 2, "not an instant that laws"),
    ],
)
def test_explain_names_what_it_cannot_use(
    seed: Path, arguments: list[str], code: int, said: str
) -> None:
    arguments = [part or _line(seed) for part in arguments]

    done = ferriage(seed, "approvals", "explain", *arguments)

    assert (done.returncode, said in done.stderr) == (code, True)


def test_exported_chain_verifies_elsewhere_until_a_byte_changes(seed: Path, tmp_path: Path) -> None:
    exported = ferriage(seed, "register", "export")
    head = exported.stderr.split()[-1]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "sound").write_text(exported.stdout)
    (elsewhere / "altered").write_text(exported.stdout.replace("false", "true", 1))

    sound = ferriage(elsewhere, "register", "verify", "sound", "--head", head)
    altered = ferriage(elsewhere, "register", "verify", "altered")
    other = ferriage(elsewhere, "register", "verify", "sound", "--head", "0" * 64)

    assert (sound.returncode, sound.stdout) == (0, f"1 decisions, unbroken; head {head}\n")
    assert (altered.returncode, other.returncode) == (1, 1)
    assert "Line 1: decision 1 is not what its hash was made of." in altered.stderr


def test_auditors_pack_is_checked_by_its_own_verifier(seed: Path, tmp_path: Path) -> None:
    written = ferriage(seed, "register", "auditor-pack", "pack.zip")
    again = ferriage(seed, "register", "auditor-pack", "pack.zip")
    zipfile.ZipFile(seed / "pack.zip").extractall(tmp_path / "home")
    seal = re.search(r"^seal ([0-9a-f]{64})$", written.stdout, re.MULTILINE)
    assert seal is not None

    done = subprocess.run(
        [sys.executable, "-I", "-S", tmp_path / "home" / "verify.py", seal[1]],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (written.returncode, done.returncode) == (0, 0)
    assert done.stdout.endswith(f"Seal {seal[1]}\n")
    assert (again.returncode, again.stderr) == (1, "ferriage: pack.zip: File exists.\n")


def test_packs_are_checked_and_the_faulty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "JP.toml").write_text("schema = 2\n")

    shipped = ferriage(tmp_path, "packs", "check")
    faulty = ferriage(tmp_path, "packs", "check", str(demo_path()), "JP.toml")

    assert (shipped.returncode, len(shipped.stdout.splitlines())) == (0, 3)
    assert faulty.returncode == 1
    assert "XD.toml: XD Demoland (invented), version 2026-11-24.1, INVENTED" in faulty.stdout
    assert "JP.toml" in faulty.stderr


def test_packs_explain_lists_kinds_and_answers_with_sources(tmp_path: Path) -> None:
    known = ferriage(tmp_path, "packs", "explain", "cn")
    unknown = ferriage(tmp_path, "packs", "explain", "JP")

    assert known.returncode == 0
    assert "kind CN-INTL-LINE-LEASE: " in known.stdout
    assert "  answer     not_obtainable, from 2017-01-17" in known.stdout
    assert "             primary, quotation read on 2026-11-24" in known.stdout
    assert unknown.returncode == 1
    assert "everything there is unknown and refused" in unknown.stderr
