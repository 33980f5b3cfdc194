"""A conversation with generic netlink's own controller, which every kernel has."""

from __future__ import annotations

import errno

import pytest

from ferriage.agent.netlink import Generic, attribute, attributes

GET_FAMILY = 3
NAME = 2


def names(answer: bytes) -> list[str]:
    found = attributes(answer, 0, len(answer))
    return [answer[at:end].rstrip(b"\0").decode() for kind, at, end in found if kind == NAME]


def test_dump_is_read_to_its_end_and_another_may_follow() -> None:
    with Generic("nlctrl", 2) as netlink:
        first = [name for answer in netlink.dump(GET_FAMILY, b"") for name in names(answer)]
        again = [name for answer in netlink.dump(GET_FAMILY, b"") for name in names(answer)]

    assert first.count("nlctrl") == 1
    assert again == first


def test_family_that_is_not_there_is_said() -> None:
    with pytest.raises(OSError, match="No such file") as refused:
        Generic("no-such-family", 1)

    assert refused.value.errno == errno.ENOENT


def test_refusal_is_raised_with_its_number_and_the_next_request_is_answered() -> None:
    with Generic("nlctrl", 2) as netlink:
        with pytest.raises(OSError, match="No such file") as refused:
            netlink.request(GET_FAMILY, attribute(NAME, b"no-such-family\0"))
        netlink.request(GET_FAMILY, attribute(NAME, b"nlctrl\0"))

    assert refused.value.errno == errno.ENOENT
