from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from ferriage.core import codes
from ferriage.payments.models import Payment
from ferriage.payments.providers.bank.reference import LENGTH
from ferriage.payments.providers.bank.suggesting import awaited, nearly

if TYPE_CHECKING:
    from till import Till

GIVEN = "1N40A4KJ43"
ASKED = Payment(reference=GIVEN)
OTHER = Payment(reference="9ZZ0Q4XX7W")


@given(
    place=st.integers(0, LENGTH - 1),
    char=st.sampled_from(codes.ALPHABET),
    slip=st.sampled_from(["wrong", "missing", "added", "swapped"]),
    around=st.sampled_from(["{}", "for the ferry, {}, thank you", "ref.{}"]),
)
def test_one_slip_is_guessed(place: int, char: str, slip: str, around: str) -> None:
    typed = {
        "wrong": GIVEN[:place] + char + GIVEN[place + 1 :],
        "missing": GIVEN[:place] + GIVEN[place + 1 :],
        "added": GIVEN[:place] + char + GIVEN[place:],
        "swapped": GIVEN[:place] + GIVEN[place : place + 2][::-1] + GIVEN[place + 2 :],
    }[slip]

    assert nearly(around.format(typed), [OTHER, ASKED]) == ASKED


def test_two_that_would_do_are_no_guess() -> None:
    twin = Payment(reference=GIVEN[:-1] + "0")

    assert nearly(GIVEN[:-1], [ASKED, twin]) is None


@given(st.text(max_size=140))
def test_other_text_is_no_guess(text: str) -> None:
    assert nearly(text, [ASKED, OTHER]) is None


def test_what_is_waited_for_is_what_can_still_be_paid(till: Till) -> None:
    open_one = till.transfer(till.order())
    late = till.order()
    till.transfer(late)
    paid = till.order()
    till.receive(till.transfer(paid).reference, 1000)

    assert awaited(till.now) == [till.transfer(late), open_one]
    assert awaited(late.expires_at) == []
