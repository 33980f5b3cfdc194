"""What providers say, kept as it came. The first of two steps: matching is another one.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import IntegrityError
from django.db.models import F, Sum
from django.utils.translation import gettext_lazy as _

from ferriage.core.compiled import insert
from ferriage.core.db import writing
from ferriage.core.errors import NotFound
from ferriage.payments.models import InboxEvent, RefusedCallbacks
from ferriage.payments.providers import registry
from ferriage.payments.providers.contract import Unverified

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from ferriage.payments.models import ProviderAccount
    from ferriage.payments.providers.contract import Event, RawEvent

KEPT: Final = timedelta(days=90)
PAGE: Final = 200


def keep(
    provider: str,
    event_id: str,
    raw: dict[str, Any],
    now: datetime,
    account: ProviderAccount | None = None,
) -> InboxEvent:
    """Write an event to the inbox and commit, or return what was written before."""
    try:
        with writing():
            event = InboxEvent(
                provider=provider,
                account=account,
                event_id=event_id,
                raw=raw,
                has_body="body" in raw,
                received_at=now,
            )
            insert(event)
            return event
    except IntegrityError:
        return InboxEvent.objects.get(provider=provider, account=account, event_id=event_id)


def keep_said(
    account: ProviderAccount, events: Sequence[Event], now: datetime, raw: RawEvent | None = None
) -> list[InboxEvent]:
    """Keep what a provider said, with the callback that said it, if it was one."""
    callback = (
        {"body": raw.body.decode(errors="replace"), "headers": dict(raw.headers)} if raw else {}
    )
    return [
        keep(account.slug, event.event_id, callback | {"event": event.to_json()}, now, account)
        for event in events
    ]


def receive(*, slug: str, raw: RawEvent, now: datetime) -> list[InboxEvent]:
    """Keep a callback that a provider signed; when this returns it is committed.

    It may be of any of the shop's accounts with the provider, also of one that is not enabled
    any more: money that was begun there still comes.

    Raises:
        NotFound: The shop has no account with this provider.
        Unverified: No account's secrets made the signature. It is counted, and not kept.
    """
    accounts = registry.accounts(slug)
    if not accounts:
        raise NotFound(_("Nobody is called back here."))
    for account in accounts:
        try:
            said = registry.opened(account).verify(raw)
        except Unverified:
            continue
        return keep_said(account, said, now, raw)
    _count_refused(slug, now)
    raise Unverified(_("This callback is not signed by the provider."), _("It was not kept."))


def _count_refused(slug: str, now: datetime) -> None:
    """Count a callback that nobody vouches for; one row a day, however many come."""
    with writing():
        row, _made = RefusedCallbacks.objects.get_or_create(slug=slug, day=now.date())
        RefusedCallbacks.objects.filter(pk=row.pk).update(count=F("count") + 1)


def forget_bodies(now: datetime) -> int:
    """Forget what callbacks held beyond their meaning, a season after they were handled.

    Providers put names and addresses of payers into them, which the shop never asked for.
    """
    old = InboxEvent.objects.filter(
        has_body=True, received_at__lt=now - KEPT, handled_at__isnull=False
    )
    events = list(old.order_by("received_at")[:PAGE])
    for event in events:
        event.raw, event.has_body = {"event": event.raw["event"]}, False
    if events:
        with writing():
            InboxEvent.objects.bulk_update(events, ["raw", "has_body"])
    return len(events)


def refused_since(day: date) -> dict[str, int]:
    """Return how many callbacks nobody vouched for since a day, by provider."""
    counted = RefusedCallbacks.objects.filter(day__gte=day).values_list("slug")
    return dict(counted.annotate(total=Sum("count")).order_by("slug"))
