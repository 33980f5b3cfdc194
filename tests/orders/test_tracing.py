"""Money of several payments is followed at once: each of it is of one, and none is made up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ferriage.orders.tracing import UNKNOWN, Brought, Move, Trace

CAME = {"pay_a": 1000, "pay_b": 500, "pay_c": 300}
KINDS = ["balance-spent", "balance-returned", "paid-back", "opening"]
STEPS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(1, 400), st.sampled_from([*CAME, "ord_x"])),
    max_size=30,
)


def trace(*moves: Move) -> Trace:
    brought = [Brought(payment, None) for payment in CAME]
    return Trace(brought=brought, currency="CNY", orders=[], moves=moves)


def credited(payment: str) -> Move:
    return Move(1, payment, "credited", CAME[payment])


def test_money_of_two_payments_is_each_its_own() -> None:
    found = trace(credited("pay_a"), credited("pay_b"), Move(1, "ord_x", "balance-spent", -1200))

    assert found.left(1) == {"pay_a": 0, "pay_b": 300, UNKNOWN: 0}
    assert found.inside("ord_x") == 1200


def test_what_comes_back_of_an_order_is_of_those_who_paid_it() -> None:
    moves = [
        credited("pay_a"),
        Move(1, "opn_1", "opening", 200),
        credited("pay_b"),
        Move(1, "ord_x", "balance-spent", -1700),
        Move(1, "ord_x", "balance-returned", 1600),
    ]

    assert trace(*moves).left(1) == {"pay_a": 1000, "pay_b": 500, UNKNOWN: 100}


def test_what_goes_back_of_a_payment_is_taken_from_its_own() -> None:
    moves = [credited("pay_a"), credited("pay_b"), Move(1, "pay_b", "paid-back", -400)]
    assert trace(*moves).left(1) == {"pay_a": 1000, "pay_b": 100, UNKNOWN: 0}
    by_hand = [Move(1, "opn_1", "opening", 200), *moves, Move(1, "pay_x", "paid-back", -150)]
    assert trace(*by_hand).left(1) == {"pay_a": 1000, "pay_b": 100, UNKNOWN: 50}


@given(STEPS)
def test_all_that_lies_there_is_of_somebody_and_none_of_two(
    steps: list[tuple[str, int, str]],
) -> None:
    moves = [credited(payment) for payment in CAME]
    held, spent = sum(CAME.values()), 0
    for kind, drawn, source in steps:
        of_order = kind in {"balance-spent", "balance-returned"}
        leaves = kind in {"balance-spent", "paid-back"}
        most = held if leaves else spent if of_order else drawn
        minor = min(drawn, most) * (-1 if leaves else 1)
        if minor:
            held += minor
            spent -= minor if of_order else 0
            moves.append(Move(1, "ord_x" if of_order else source, kind, minor))
    left = trace(*moves).left(1)

    assert left.total() == held
    assert all(minor >= 0 for minor in left.values())
    assert all(left[payment] <= came for payment, came in CAME.items())
