"""Noting what says where a customer is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.orders.models import PlaceEvidence
from ferriage.orders.places import SHOWN

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.orders.models import Order


class NotShowable(FerriageError):
    """A kind of evidence that nobody shows to staff."""

    slug = "not-showable"
    status = 422


def note_shown(*, order: Order, kind: str, now: datetime, actor: Actor) -> PlaceEvidence:
    """Note that the customer showed something that says they are where the order says.

    Raises:
        NotShowable: The customer's word and the payment's country are noted by themselves.
    """
    if kind not in SHOWN:
        raise NotShowable(_("Choose what the customer showed you."))
    with writing():
        row = keep(order=order, kind=kind, place=order.place, now=now, actor=actor)
        audit.record(
            now=now,
            actor=actor,
            action="place.shown",
            subject=order.code,
            kind=kind,
            place=order.place,
        )
    return row


def keep(*, order: Order, kind: str, place: str, now: datetime, actor: Actor) -> PlaceEvidence:
    """Keep one piece of evidence, once, inside the caller's transaction."""
    row, _made = PlaceEvidence.objects.get_or_create(
        order=order, kind=kind, place=place, defaults={"noted_by": str(actor), "noted_at": now}
    )
    return row
