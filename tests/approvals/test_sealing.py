from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferriage.approvals import sealing

KEY = sealing.Key.parse(sealing.new_key())
OTHER = sealing.Key.parse(sealing.new_key())
PAPER = b"%PDF-1.7 a licence"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@given(st.binary(max_size=5000))
def test_what_is_sealed_opens_as_it_was(data: bytes) -> None:
    assert KEY.unseal(KEY.seal(data), digest(data)) == data


def test_sealed_file_shows_neither_text_nor_hash_and_is_never_the_same() -> None:
    first, second = KEY.seal(PAPER), KEY.seal(PAPER)
    seen = first + second + KEY.name(digest(PAPER)).encode()
    assert first != second
    told = (PAPER, digest(PAPER).encode(), hashlib.sha256(PAPER).digest(), b"licence")
    assert [part for part in told if part in seen] == []


def test_every_altered_byte_is_found() -> None:
    sealed = KEY.seal(PAPER)
    opened = []
    for place in range(len(sealed)):
        altered = bytearray(sealed)
        altered[place] ^= 1
        try:
            KEY.unseal(bytes(altered), digest(PAPER))
        except sealing.SealError:
            continue
        opened.append(place)
    assert opened == []


def test_every_cut_is_found() -> None:
    sealed = KEY.seal(PAPER)
    for length in range(len(sealed)):
        with pytest.raises(sealing.SealError):
            KEY.unseal(sealed[:length], digest(PAPER))


def test_file_in_anothers_place_does_not_open() -> None:
    with pytest.raises(sealing.Broken):
        KEY.unseal(KEY.seal(b"another paper"), digest(PAPER))


def test_other_key_is_told_from_damage() -> None:
    with pytest.raises(sealing.OtherKey):
        OTHER.unseal(KEY.seal(PAPER), digest(PAPER))
    assert OTHER.name(digest(PAPER)) != KEY.name(digest(PAPER))


def test_plain_file_is_told_from_a_sealed_one() -> None:
    with pytest.raises(sealing.NotSealed):
        KEY.unseal(PAPER * 10, digest(PAPER * 10))


@pytest.mark.parametrize("text", ["", "AAAA", "no base64!", "A" * 43 + "=AAAA"])
def test_text_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(sealing.NotAKey):
        sealing.Key.parse(text)
