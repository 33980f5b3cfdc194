"""The directory of evidence: what lies there, what comes back, and what is noticed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from register_office import PAPER, Register

from ferriage.approvals import sealing, store
from ferriage.approvals.models import Evidence

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django.fixtures import SettingsWrapper


@pytest.fixture
def key_path(register: Register, settings: SettingsWrapper, tmp_path: Path) -> Path:  # noqa: ARG001 -- first the law, which changes the settings too
    """A key of the test's own."""
    config = settings.FERRIAGE
    settings.FERRIAGE = replace(config, site=replace(config.site, data_dir=str(tmp_path)))
    path = tmp_path / "evidence.key"
    path.write_text(sealing.new_key())
    return path


@pytest.fixture
def evidence(register: Register, key_path: Path) -> Evidence:  # noqa: ARG001 -- sealed with it
    return register.grant(register.record()).evidence.get()


def files(register: Register) -> list[Path]:
    return sorted(register.store.iterdir())


def faults(register: Register) -> list[tuple[Evidence, str]]:
    found = store.unreadable(store_dir=register.store)
    return [(row, str(fault.message)) for row, fault in found]


def test_file_lies_sealed_for_its_owner_alone_and_comes_back(
    register: Register, evidence: Evidence
) -> None:
    (stored,) = files(register)
    assert PAPER.data not in stored.read_bytes()
    assert evidence.sha256 not in stored.name
    assert stored.stat().st_mode & 0o777 == 0o600
    assert store.read_evidence(evidence, store_dir=register.store) == PAPER.data
    assert faults(register) == []


def test_same_file_is_kept_once(register: Register, evidence: Evidence) -> None:
    register.grant(register.record())
    assert (Evidence.objects.count(), len(files(register))) == (2, 1)
    assert store.read_evidence(evidence, store_dir=register.store) == PAPER.data


def test_missing_file_is_named(register: Register, evidence: Evidence) -> None:
    files(register)[0].unlink()
    assert faults(register) == [
        (evidence, f"A file of evidence is missing: SHA-256 {evidence.sha256}.")
    ]
    with pytest.raises(store.EvidenceUnreadable, match="from a backup"):
        store.read_evidence(evidence, store_dir=register.store)


def test_altered_file_is_named_and_not_shown(register: Register, evidence: Evidence) -> None:
    stored = files(register)[0]
    data = bytearray(stored.read_bytes())
    data[-1] ^= 1
    stored.write_bytes(data)
    assert faults(register) == [
        (
            evidence,
            f"A file of evidence was altered, so it is not shown: SHA-256 {evidence.sha256}.",
        )
    ]
    with pytest.raises(store.EvidenceUnreadable, match="was altered"):
        store.read_evidence(evidence, store_dir=register.store)


def test_lost_key_is_named_and_nothing_new_is_written(
    register: Register, evidence: Evidence, key_path: Path
) -> None:
    key_path.unlink()
    with pytest.raises(store.EvidenceUnreadable, match=r"evidence\.key, cannot be read"):
        store.read_evidence(evidence, store_dir=register.store)
    approval = register.record()
    with pytest.raises(store.EvidenceUnreadable):
        register.grant(approval)
    approval.refresh_from_db()
    assert (approval.state, Evidence.objects.count()) == ("draft", 1)


@pytest.mark.parametrize("text", ["AAAA", "not a key"])
def test_key_file_that_holds_none_is_named(
    register: Register, evidence: Evidence, key_path: Path, text: str
) -> None:
    key_path.write_text(text)
    with pytest.raises(store.EvidenceUnreadable, match="is not one"):
        store.read_evidence(evidence, store_dir=register.store)


def test_another_key_is_told_from_a_missing_file(
    register: Register, evidence: Evidence, key_path: Path
) -> None:
    key_path.write_text(sealing.new_key())
    with pytest.raises(store.EvidenceUnreadable, match="sealed with another key"):
        store.read_evidence(evidence, store_dir=register.store)


def test_shop_without_evidence_needs_no_key(register: Register, key_path: Path) -> None:
    key_path.unlink()
    assert faults(register) == []
