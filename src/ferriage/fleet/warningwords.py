"""Warnings of gateways in words.

An agent tells them in English, as `part: text`, and knows no other language. What it says by rote
is put in the reader's; what a kernel, a program or an outside error said stays as it came.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ferriage.fleet.actions.reports import RIVAL_WARNING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PARTS: Final = {
    "apply": gettext_lazy("Applying a change"),
    "assign": gettext_lazy("Taking up its lines"),
    "clock": gettext_lazy("Keeping the time"),
    "close": gettext_lazy("Closing down"),
    "lease": gettext_lazy("Its identity"),
    "publish": gettext_lazy("Writing the hold page"),
    "quotas": gettext_lazy("Looking at quotas"),
    "reconcile": gettext_lazy("Looking at what runs"),
    "start": gettext_lazy("Starting"),
    "store": gettext_lazy("Writing down what was counted"),
    "watch": gettext_lazy("Listening for changes"),
}
"""What the agent was at, by the first word of a warning."""

TEXTS: Final = {
    RIVAL_WARNING: gettext_lazy("A second agent with this gateway's identity was refused."),
    "The site refused: Another agent reports as this gateway. Nothing was changed.": gettext_lazy(
        "Another agent reports as this gateway. Nothing was changed."
    ),
    "This state directory was copied or moved from another host or place. Nothing is changed here"
    " until the site has given this agent the lease.": gettext_lazy(
        "Its state directory was copied or moved from another host or place. Nothing is changed "
        "there until the site has given this agent the lease."
    ),
    "another instance holds the lease": gettext_lazy("another agent has this gateway's identity"),
    "a snapshot is of a history that has ended": gettext_lazy(
        "a snapshot is of a history that has ended"
    ),
    "a snapshot is older than what runs": gettext_lazy("a snapshot is older than what runs"),
    "A batch could not be kept, so it was not applied.": gettext_lazy(
        "A batch could not be kept, so it was not applied."
    ),
}
"""What the agent says by rote."""

_SHAPE: Final = re.compile(r"(?P<part>[a-z]+)(?: (?P<pool>pool_\w+))?: (?P<text>.*)", re.DOTALL)
_NUMBER: Final = re.compile(r"\d+")


def said(warning: str) -> str:
    """Return a warning in the reader's language, as far as it was said by rote."""
    shape = _SHAPE.fullmatch(warning)
    if shape is None:
        return str(TEXTS.get(warning, warning))
    part, pool, text = shape["part"], shape["pool"] or "", shape["text"]
    number = _NUMBER.search(text)
    if part in _COUNTED and number:
        return _COUNTED[part](int(number[0])) % {"pool": pool, "count": number[0]}
    if part not in PARTS:
        return warning
    at = f"{PARTS[part]} ({pool})" if pool else str(PARTS[part])
    return _("%(part)s: %(text)s") % {"part": at, "text": TEXTS.get(text, text)}


_COUNTED: Final[Mapping[str, Callable[[int], str]]] = {
    "removals": lambda count: ngettext(
        "A snapshot of %(pool)s did not name one device; it stays until staff allow that it goes.",
        "A snapshot of %(pool)s did not name %(count)s devices; they stay until staff allow that "
        "they go.",
        count,
    ),
    "restored": lambda count: ngettext(
        "One device of %(pool)s was removed or held before the shop's records were restored; it "
        "is off until staff let it on.",
        "%(count)s devices of %(pool)s were removed or held before the shop's records were "
        "restored; they are off until staff let them on.",
        count,
    ),
    "refused": lambda count: ngettext(
        "One more device of %(pool)s is refused than is listed.",
        "%(count)s more devices of %(pool)s are refused than are listed.",
        count,
    ),
    "warnings": lambda count: ngettext(
        "There is one more warning than is shown.",
        "There are %(count)s more warnings than are shown.",
        count,
    ),
}
