"""Evidence of a real shop: `check` and `register evidence` notice what is wrong."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from typing import TYPE_CHECKING

import pytest

from ferriage.approvals import sealing
from running_ferriage import ferriage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAPER = b"%PDF-1.7 a licence"


@pytest.fixture
def proven(shop: Path) -> Path:
    """A shop with one approval and its file, as the back office would have left it."""
    sha256 = hashlib.sha256(PAPER).hexdigest()
    key = sealing.Key.parse((shop / "data/evidence.key").read_text().strip())
    (shop / "data/evidence").mkdir(mode=0o700)
    (shop / "data/evidence" / key.name(sha256)).write_bytes(key.seal(PAPER))
    with contextlib.closing(sqlite3.connect(shop / "data/ferriage.sqlite3")) as database, database:
        database.execute(
            "INSERT INTO approvals_evidence (sha256, title, media_type, size_bytes, original_at,"
            " uploaded_by, uploaded_at) VALUES (?, 'Licence', 'application/pdf', ?, '',"
            " 'staff:olga', '2026-03-01 12:00:00')",
            [sha256, len(PAPER)],
        )
    return shop


def _sealed(shop: Path) -> Path:
    (path,) = (shop / "data/evidence").iterdir()
    return path


def _cut_off(shop: Path) -> None:
    path = _sealed(shop)
    path.write_bytes(path.read_bytes()[:-1])


def _other_key(shop: Path) -> None:
    (shop / "data/evidence.key").write_text(sealing.new_key() + "\n")


def test_sound_evidence_is_said_to_be_so(proven: Path) -> None:
    checked = ferriage(proven, "check")
    opened = ferriage(proven, "register", "evidence")

    assert (checked.returncode, opened.returncode) == (0, 0)
    assert "✓ every file of evidence opens and is as it was handed in" in checked.stdout
    assert opened.stdout == "1 files of evidence, each as it was handed in\n"


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda shop: _sealed(shop).unlink(), "A file of evidence is missing"),
        (_cut_off, "A file of evidence was altered"),
        (_other_key, "were sealed with another key"),
        (lambda shop: (shop / "data/evidence.key").write_text("no key\n"), "is not one"),
    ],
    ids=["missing", "altered", "another key", "no key in the file"],
)
def test_harm_is_named_with_what_to_do(
    proven: Path, harm: Callable[[Path], None], said: str
) -> None:
    harm(proven)

    checked = ferriage(proven, "check")
    opened = ferriage(proven, "register", "evidence")

    assert (checked.returncode, opened.returncode) == (1, 1)
    assert said in checked.stdout
    assert "backup" in checked.stdout
    assert said in opened.stderr


def test_init_makes_no_new_key_where_files_need_the_old_one(proven: Path) -> None:
    (proven / "data/evidence.key").unlink()

    again = ferriage(proven, "init", "--url", "https://shop.se")

    assert again.returncode == 0, again.stderr
    assert not (proven / "data/evidence.key").exists()
    assert "Put it back from a backup" in ferriage(proven, "check").stdout


def test_lost_key_is_named_with_and_without_evidence(shop: Path, proven: Path) -> None:
    (proven / "data/evidence.key").unlink()
    with_evidence = ferriage(proven, "check")
    opened = ferriage(proven, "register", "evidence")
    for path in (shop / "data/evidence").iterdir():
        path.unlink()
    without = ferriage(shop, "check")
    again = ferriage(shop, "init", "--url", "https://shop.se")

    assert [with_evidence.returncode, opened.returncode, without.returncode] == [1, 1, 1]
    assert "✗ there is no key" in with_evidence.stdout
    assert "✗ there is no key" in without.stdout
    assert again.returncode == 0
    assert (shop / "data/evidence.key").stat().st_mode & 0o777 == 0o600
