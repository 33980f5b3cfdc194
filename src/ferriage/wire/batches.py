"""Whole batches as signed JSON lines."""

from __future__ import annotations

import hashlib

import msgspec

from ferriage.wire.codec import decode, decode_item, encode
from ferriage.wire.records import SPOKEN, Batch, Begin, End, WireError
from ferriage.wire.signing import sign, verify


def frame_batch(private: str, begin: Begin, item_lines: list[bytes]) -> bytes:
    """Return a whole batch as JSON lines, signed with the feed key.

    `begin.count`, `begin.items_sha256` and `begin.signature` are filled in here.
    `item_lines` are canonical items without newline.
    """
    body = b"".join(line + b"\n" for line in item_lines)
    filled = msgspec.structs.replace(
        begin, count=len(item_lines), items_sha256=hashlib.sha256(body).hexdigest(), signature=""
    )
    signed = msgspec.structs.replace(filled, signature=sign(private, "batch", encode(filled)))
    end = encode(End(end=True, count=len(item_lines)))
    return encode(signed) + b"\n" + body + end + b"\n"


def open_batch(public: str, data: bytes) -> Batch:
    """Verify a whole batch and decode it.

    Raises:
        WireError: Truncated, altered, unsigned, of another format, or with an unknown item.
    """
    head, separator, rest = data.partition(b"\n")
    if not separator:
        raise WireError("the batch has no begin line")
    begin = decode(head, Begin)
    if begin.format not in SPOKEN:
        raise WireError(
            f"feed format {begin.format}, this release speaks {SPOKEN[0]} and {SPOKEN[1]}"
        )
    _verify_head(public, begin)
    body, tail = rest[: rest.rfind(b"\n", 0, -1) + 1], rest[rest.rfind(b"\n", 0, -1) + 1 :]
    if not tail.endswith(b"\n"):
        raise WireError("the batch is cut short")
    end = decode(tail, End)
    lines = body.split(b"\n")[:-1]
    if not len(lines) == end.count == begin.count:
        raise WireError("the batch does not hold the number of items it announces")
    if hashlib.sha256(body).hexdigest() != begin.items_sha256:
        raise WireError("the items are not those that were signed")
    return Batch(begin=begin, items=tuple(decode_item(line) for line in lines))


def is_head(public: str, begin: Begin) -> bool:
    """Tell whether the feed key signed the head of a batch."""
    try:
        _verify_head(public, begin)
    except WireError:
        return False
    return True


def _verify_head(public: str, begin: Begin) -> None:
    unsigned = msgspec.structs.replace(begin, signature="")
    verify(public, "batch", encode(unsigned), begin.signature)
