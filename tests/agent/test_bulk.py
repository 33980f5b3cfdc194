"""What goes to the kernel by messages of our own; what they do: tests/tunnel/test_nft.py."""

from __future__ import annotations

import pytest

from ferriage.agent import bulk, plane


def _step(name: str, count: int, *, delete: tuple[plane.Key, ...] = ()) -> plane.Step:
    return plane.Step(name, delete, tuple((key, None) for key in range(count)))


def test_much_that_comes_goes_by_messages() -> None:
    step = _step("use_up", bulk.MANY)

    assert bulk.split([step]) == ([], [step])


@pytest.mark.parametrize(
    "step",
    [
        _step("use_up", bulk.MANY - 1),
        _step("routes4", bulk.MANY),
        _step("open", bulk.MANY, delete=(1,)),  # an end that moves: closed for no moment
    ],
)
def test_little_and_what_replaces_something_goes_as_text(step: plane.Step) -> None:
    assert bulk.split([step]) == ([step], [])
