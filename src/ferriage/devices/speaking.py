"""The language in which gateways speak to a customer's devices, told to them now and then.

They say it on their hold page alone, and there only where a browser wishes for none of its own.

Source: docs/decisions/0071-changes-a-day.md
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from ferriage.accounts import actions as accounts
from ferriage.core.db import writing
from ferriage.devices import actions
from ferriage.devices.addresses import AGAIN_A_DAY
from ferriage.devices.models import Device

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.accounts.models import Account

PAGE: Final = 500
GATHERED: Final = timedelta(days=1) / AGAIN_A_DAY
"""How long changes of a language are gathered before gateways are told the last of them."""


def speak(*, account: Account, language: str, now: datetime) -> Account:
    """Keep the language that a customer chose; gateways are told it within six hours.

    However often it is changed until then, they are told once, and what was chosen last.
    """
    with writing():
        accounts.speak(account=account, language=language)
        unaware = Device.objects.filter(
            subscription__account=account, removed_at=None, language_due_at=None
        )
        unaware.update(language_due_at=now + GATHERED)
    return account


def follow(now: datetime) -> int:
    """Tell gateways the languages that are due; return of how many subscriptions."""
    due = Device.objects.filter(removed_at=None, language_due_at__lte=now)
    found = due.order_by("subscription_id").values_list("subscription_id", flat=True)
    subscriptions = list(found.distinct()[:PAGE])
    if subscriptions:
        actions.refresh_all(subscriptions=subscriptions, now=now)
    return len(subscriptions)
