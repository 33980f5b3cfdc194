"""Stripe's SDK, set up for one account: where it calls, how long it waits, what it never says."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Final

import structlog
from django.utils.translation import gettext_lazy as _

from ferriage.payments.providers.contract import ProviderDown
from ferriage.payments.providers.outside import ANSWER_SECONDS, CONNECT_SECONDS, calling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe import StripeClient

ADDRESS: Final = "https://api.stripe.com"

log = structlog.get_logger()


def client(key: str, address: str) -> StripeClient:
    """Return a client. It does not repeat a call by itself: whoever asked does, with the same key.

    Args:
        address: Where Stripe's API is; empty is Stripe itself.
    """
    import stripe

    # It would tell Stripe about this machine and how long earlier calls took.
    stripe.enable_telemetry = False
    # It would write what it sends and gets, and of a refused key the end.
    logging.getLogger("stripe").setLevel(logging.WARNING)
    return stripe.StripeClient(
        key,
        base_addresses={"api": (address or ADDRESS).rstrip("/")},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=(CONNECT_SECONDS, ANSWER_SECONDS)),
    )


@contextlib.contextmanager
def asking() -> Iterator[None]:
    """Let a block call Stripe; what went wrong with the way there is one error.

    What Stripe refuses (`InvalidRequestError`, `IdempotencyError`) rises as it is.

    Raises:
        ProviderDown: No answer, one of Stripe's own faults, or the shop's key is not taken.
    """
    import stripe

    down = (
        stripe.APIConnectionError,
        stripe.APIError,
        stripe.AuthenticationError,
        stripe.PermissionError,
        stripe.RateLimitError,
    )
    with calling():
        try:
            yield
        except down as error:
            # Its kind alone: the message of a refused key quotes the end of it.
            log.warning("stripe.failed", kind=type(error).__name__, status=error.http_status)
            raise ProviderDown(
                _("Stripe does not answer just now."), _("Nothing was charged; try again later.")
            ) from error
