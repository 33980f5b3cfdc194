"""References that payers type into a bank's form: ten characters, the last one checks the rest."""

from __future__ import annotations

import re
from typing import Final

from ferriage.core import codes

LENGTH: Final = 10
_TRIED: Final = re.compile(r"\b(?:\w{9,11}|\w{4}[ -]\w{4}[ -]\w{2})\b")


def new_reference() -> str:
    """Return a new reference of 45 random bits and a check character."""
    body = codes.random_characters(LENGTH - 1)
    return body + _check(body)


def found_in(text: str) -> list[str]:
    """Return every stretch of what a payer wrote that could be a reference.

    Bank statements hold it among other words, in any case, with spaces or hyphens. One stretch in
    32 checks by chance, so who knows which references were given must choose among these.
    """
    plain = codes.normalise(text)
    stretches = (plain[start : start + LENGTH] for start in range(len(plain) - LENGTH + 1))
    return [stretch for stretch in stretches if is_reference(stretch)]


def looks_tried(text: str) -> bool:
    """Tell whether a payer seems to have typed a reference, with a mistake in it.

    A word, or groups as we print them, of about its length with a letter and a digit: what a
    reference has but for one in forty, and what people write to each other seldom has.
    """
    return any(
        any(char.isdigit() for char in word) and any(char.isalpha() for char in word)
        for word in _TRIED.findall(text)
    )


def is_reference(text: str) -> bool:
    """Tell whether bare characters are a reference without a slip of the pen."""
    return codes.is_code(text, LENGTH) and _check(text[:-1]) == text[-1]


def _check(body: str) -> str:
    # Odd weights have an inverse modulo 32, so every single wrong character is found.
    weighted = sum((2 * place + 1) * codes.ALPHABET.index(char) for place, char in enumerate(body))
    return codes.ALPHABET[weighted % len(codes.ALPHABET)]
