from __future__ import annotations

import base64
import hashlib
from itertools import permutations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferriage import wire

KEY = wire.new_private_key()
PUBLIC = wire.public_key(KEY)


def _device(number: int = 1, **changes: object) -> wire.Device:
    key = base64.b64encode(hashlib.sha256(str(number).encode()).digest()).decode()
    device = wire.Device(
        id=f"dev_{number}",
        generation=1,
        slot=number,
        public_key=key,
        ip4=f"10.64.0.{number + 1}",
        ip6=f"fd7a:5eed:1::{number + 1:x}",
        rate_down_bps=100_000_000,
        rate_up_bps=100_000_000,
        burst_bytes=1_000_000,
        hold_at=1_800_000_000,
        hold_reason="term",
        remove_at=1_801_000_000,
    )
    return msgspec.structs.replace(device, **changes)


def _batch(items: list[wire.Item]) -> bytes:
    begin = wire.Begin(
        format=wire.FEED_FORMAT,
        batch="snapshot",
        pool="pool_1",
        epoch="e",
        after=0,
        rev=len(items),
        count=0,
        digest=wire.DIGEST_ZERO,
        items_sha256="",
    )
    return wire.frame_batch(KEY, begin, [wire.encode(item) for item in items])


def test_batch_reads_back_as_it_was_sent() -> None:
    items: list[wire.Item] = [
        wire.Put(rev=1, device=_device(1)),
        wire.Del(rev=2, device="dev_9"),
    ]

    batch = wire.open_batch(PUBLIC, _batch(items))

    assert list(batch.items) == items
    assert (batch.begin.rev, batch.begin.count) == (2, 2)


def test_empty_batch_is_a_batch() -> None:
    assert wire.open_batch(PUBLIC, _batch([])).items == ()


@given(st.data())
def test_batch_with_any_byte_changed_is_refused(data: st.DataObject) -> None:
    raw = bytearray(_batch([wire.Put(rev=1, device=_device(1)), wire.Del(rev=2, device="dev_9")]))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))

    with pytest.raises(wire.WireError):
        wire.open_batch(PUBLIC, bytes(raw))


def test_signature_has_one_spelling_only() -> None:
    signature = wire.sign(KEY, "batch", b"x")
    other = f"{signature[:-3]}{chr(ord(signature[-3]) + 1)}=="

    wire.verify(PUBLIC, "batch", b"x", signature)
    with pytest.raises(wire.WireError):
        wire.verify(PUBLIC, "batch", b"x", other)


@given(st.data())
def test_batch_cut_short_is_refused(data: st.DataObject) -> None:
    raw = _batch([wire.Put(rev=1, device=_device(1)), wire.Del(rev=2, device="dev_9")])

    with pytest.raises(wire.WireError):
        wire.open_batch(PUBLIC, raw[: data.draw(st.integers(0, len(raw) - 1))])


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"<html>\n", b"{}\n{}\n", b"\n\n\n"])
def test_what_is_no_batch_is_refused(body: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.open_batch(PUBLIC, body)


def test_batch_of_another_key_is_refused() -> None:
    with pytest.raises(wire.WireError, match="signature"):
        wire.open_batch(wire.public_key(wire.new_private_key()), _batch([]))


def test_unknown_kind_of_item_is_refused() -> None:
    with pytest.raises(wire.WireError):
        wire.decode_item(b'{"kind":"purge","rev":1}')


def test_unknown_field_is_refused() -> None:
    with pytest.raises(wire.WireError):
        wire.decode_item(b'{"kind":"del","rev":1,"device":"dev_1","all":true}')


def test_permit_signature_covers_every_byte() -> None:
    shop = wire.Shop(url="http://shop.example", name="s", addresses=("192.0.2.1",), port=80)
    permit = wire.Permit(
        line="ln_1",
        serial=1,
        state="open",
        open_until=1_800_000_000,
        decision=1,
        reason={},
        shop=shop,
    )
    signed = wire.sign_permit(KEY, permit)
    forged = msgspec.structs.replace(
        signed, payload=signed.payload.replace("1800000000", "1900000000")
    )

    assert wire.open_permit(PUBLIC, signed) == permit
    with pytest.raises(wire.WireError):
        wire.open_permit(PUBLIC, forged)


def test_signature_for_one_purpose_is_worth_nothing_for_another() -> None:
    signature = wire.sign(KEY, "batch", b"words")

    with pytest.raises(wire.WireError):
        wire.verify(PUBLIC, "permit", b"words", signature)


def test_digest_does_not_depend_on_the_order_of_changes() -> None:
    devices = [_device(number) for number in (1, 2, 3)]

    digests = set()
    for order in permutations(devices):
        digest = wire.DIGEST_ZERO
        for device in order:
            digest = wire.digest_add(digest, device)
        digests.add(wire.digest_remove(digest, order[0]) if order[0] is devices[0] else digest)

    assert len(digests) == 2


def test_digest_of_nothing_is_zero() -> None:
    digest = wire.digest_remove(wire.digest_add(wire.DIGEST_ZERO, _device()), _device())

    assert digest == wire.DIGEST_ZERO


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"public_key": "abc"}, "public_key"),
        ({"public_key": base64.b64encode(b"short").decode()}, "public_key"),
        ({"ip4": "10.0.0.300"}, "inner address"),
        ({"ip6": "10.0.0.3"}, "inner address"),
        ({"slot": 0}, "slot"),
        ({"slot": 1 << 32}, "slot"),
        ({"rate_down_bps": 0}, "rates"),
        ({"hold_at": 2, "remove_at": 1}, "hold_at"),
        ({"routes": ("10.20.0.1/16",)}, "host bits"),
        ({"routes": ("0.0.0.0/0",)}, "too wide"),
        ({"routes": ("128.0.0.0/1",)}, "too wide"),
        ({"routes": ("::/0",)}, "too wide"),
        ({"routes": ("fd00::/15",)}, "too wide"),
        ({"routes": ("10.20.0.0",)}, "is written 10.20.0.0/32"),
        ({"routes": ("FD20::/64",)}, "is written fd20::/64"),
        ({"routes": ("169.254.169.254/32",)}, "anybody"),
        ({"routes": ("2002:a14::/32",)}, "anybody"),
        ({"routes": ("office",)}, "routes"),
        ({"routes": ("10.20.0.0/16", "10.20.9.0/24")}, "overlaps"),
        ({"routes": tuple(f"10.20.{number}.0/24" for number in range(17))}, "more than 16"),
    ],
)
def test_record_that_no_gateway_could_apply_is_named(change: dict[str, object], named: str) -> None:
    with pytest.raises(wire.WireError, match=named):
        wire.check_device(_device(**change))


@pytest.mark.parametrize(
    "routes",
    [
        tuple(f"10.20.{number}.0/24" for number in range(16)),
        ("10.0.0.0/8", "fd20::/64", "198.51.100.7/32"),
    ],
)
def test_record_with_inner_networks_of_both_families_is_applied(routes: tuple[str, ...]) -> None:
    wire.check_device(_device(routes=routes))
