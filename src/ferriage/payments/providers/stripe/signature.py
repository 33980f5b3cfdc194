"""Whether a callback is Stripe's: its signature by the SDK, its age by when it was received."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext_lazy as _

from ferriage.payments.providers.contract import Unverified

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ferriage.payments.providers.contract import RawEvent

TOLERANCE_SECONDS: Final = 300
"""Stripe signs each attempt anew, so one that is older is somebody's copy."""


def opened(raw: RawEvent, secret: str) -> Mapping[str, Any]:
    """Return the event in a callback.

    Raises:
        Unverified: Not signed with the secret, signed too long ago, or no event.
    """
    import stripe

    header = raw.headers.get("stripe-signature", "")
    try:
        stripe.WebhookSignature.verify_header(raw.body, header, secret)
        signed_at = next(int(part[2:]) for part in header.split(",") if part.startswith("t="))
        event = json.loads(raw.body)
    except (stripe.SignatureVerificationError, ValueError, TypeError, StopIteration) as error:
        raise Unverified(_("This callback is not signed by Stripe.")) from error
    if abs(raw.received_at.timestamp() - signed_at) > TOLERANCE_SECONDS:
        raise Unverified(_("This callback was signed too long ago."))
    if not isinstance(event, dict) or event.get("object") != "event":
        raise Unverified(_("This callback holds no event."))
    return event
