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
from register_cases import row, write_pack

from ferriage.approvals.packs import demo_path
from lawbook import NEWER, newer, shipped
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

    ours = ferriage(tmp_path, "packs", "check")
    faulty = ferriage(tmp_path, "packs", "check", str(demo_path()), "JP.toml")

    assert (ours.returncode, len(ours.stdout.splitlines())) == (0, 10)
    assert faulty.returncode == 1
    assert (
        f"XD.toml: XD Demoland (invented), version {shipped('XD').version}, INVENTED"
        in faulty.stdout
    )
    assert "JP.toml" in faulty.stderr


def test_packs_explain_lists_kinds_and_answers_with_sources(tmp_path: Path) -> None:
    known = ferriage(tmp_path, "packs", "explain", "cn")
    unknown = ferriage(tmp_path, "packs", "explain", "NZ")

    assert known.returncode == 0
    assert "kind CN-INTL-LINE-LEASE: " in known.stdout
    assert "  answer     not_obtainable, from 2017-01-17" in known.stdout
    assert "             primary, quotation read on 2026-11-24" in known.stdout
    assert unknown.returncode == 1
    assert "everything there is unknown and refused" in unknown.stderr


def test_repair_of_a_clock_that_ran_ahead_is_proposed_with_a_link(seed: Path) -> None:
    right = ferriage(seed, "register", "repair", "--first", "1", "--reason", "It ran ahead.")
    with contextlib.closing(sqlite3.connect(seed / "data/ferriage.sqlite3")) as database, database:
        columns = "subject, line_code, inputs_digest, packs, allowed, reasons, previous_hash"
        database.execute(
            f"INSERT INTO approvals_decision (sequence, at, valid_until, hash, {columns})"  # noqa: S608 -- ours
            f" SELECT 2, '2099-01-01 00:00:00', '2099-01-01 00:00:00', 'x', {columns}"
            " FROM approvals_decision"
        )

    checked = ferriage(seed, "check")
    proposed = ferriage(seed, "register", "repair", "--first", "2", "--reason", "It ran ahead.")

    assert (right.returncode, checked.returncode, proposed.returncode) == (1, 1, 0)
    assert "register repair --first 2` proposes one." in checked.stdout
    assert "https://shop.se/verify/" in proposed.stdout


def test_packs_diff_of_two_files_ends_like_diff(tmp_path: Path) -> None:
    denied = newer("XD", ('answer = "not_required"\nclause = "section 2"', NO_SALE))
    (tmp_path / "new.toml").write_text(denied.text)
    (tmp_path / "broken.toml").write_text("schema = 2\n")

    def diff(*files: str) -> tuple[int, str, str]:
        done = ferriage(tmp_path, "packs", "diff", *files)
        return done.returncode, done.stdout, done.stderr

    other, same = diff(str(demo_path()), "new.toml"), diff("new.toml", "new.toml")
    broken, third = diff("new.toml", "broken.toml"), diff(*["new.toml"] * 3)

    assert (other[0], same[0], broken[0], third[0]) == (1, 0, 2, 2)
    assert other[1] == (
        f"XD Demoland (invented): {shipped('XD').version} → {NEWER}\n"
        "\n~ sell | public | resale\n"
        "    answer          not_required → not_obtainable\n"
        "    cites           section 2, Demoland Lines Act (invented)\n"
    )
    assert "broken.toml" in broken[2]


def test_packs_diff_in_a_shop_says_what_its_lines_would_lose(shop: Path, tmp_path: Path) -> None:
    ferriage(shop, "init", "--local", stdin="SE\n\n\nHarbour AB\n\n\n\n")
    answered = newer("SE", ('read = "nothing"', READ), ('"unknown"', '"not_required"'))
    (tmp_path / "SE.toml").write_text(answered.text)

    waits = ferriage(shop, "packs", "diff")
    opens = ferriage(shop, "packs", "diff", str(tmp_path / "SE.toml"))

    assert (waits.returncode, waits.stdout) == (
        0,
        "No rule pack waits: what came to this shop is in force.\n",
    )
    assert opens.returncode == 1
    assert f"✓ {_line(shop)} SE – SE, the permit: denied → until " in opens.stdout


def test_pack_that_comes_later_waits_and_check_says_so(seed: Path, tmp_path: Path) -> None:
    before = ferriage(seed, "check").stdout
    pack = write_pack(tmp_path / "NZ.toml", place="NZ", rows=row("unknown"))
    with (seed / "ferriage.toml").open("a") as file:
        file.write(f'\n[approvals]\npacks = ["{pack}"]\n')

    met = ferriage(seed, "check").stdout
    worked = ferriage(seed, "worker", "--once")
    waits = ferriage(seed, "check")
    told = ferriage(seed, "packs", "diff")
    write_pack(pack, place="NZ", rows=row("not_obtainable"))
    changed = ferriage(seed, "check")

    assert ("NZ" in before, worked.returncode) == (False, 0)
    assert "! rule pack NZ 1 was not received yet" in met
    assert "! rule pack NZ 1 waits to take effect" in waits.stdout
    assert (told.returncode, "NZ Somewhere: nothing → 1\n" in told.stdout) == (1, True)
    assert "It waits for an owner" in told.stdout
    assert "✗ rule pack NZ 1 was changed without a newer version" in changed.stdout


NO_SALE = 'answer = "not_obtainable"\nclause = "section 2"'
READ = 'read = "text"\nread_on = 2026-11-25'
