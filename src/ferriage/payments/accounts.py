"""The shop's accounts with payment providers: added, given new secrets, taken out of use.

No secret leaves by any of these: whoever may set one cannot read it back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.payments.capture import change_once
from ferriage.payments.models import ProviderAccount
from ferriage.payments.providers import registry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ferriage.core.actors import Actor

MOST_SECRET: int = 4000


class ProviderWrong(FerriageError):
    """An account with a provider that cannot be kept like this."""

    slug = "provider-wrong"
    status = 422


class ModesMixed(FerriageError):
    """Play money beside real money: anybody could buy with it what others pay for."""

    slug = "modes-mixed"


def add_provider(
    *, slug: str, label: str, mode: str, secrets: Mapping[str, str], now: datetime, actor: Actor
) -> ProviderAccount:
    """Add an account with a provider and put it in use; one that was in use steps back.

    What was begun with the earlier account is still listened for and asked about.

    Raises:
        ProviderWrong: This release has no such provider, or something is missing.
        ModesMixed: Another provider in use moves real money and this one does not, or the reverse.
    """
    if slug not in registry.KINDS or mode not in ProviderAccount.Mode.values or not label.strip():
        raise ProviderWrong(_("A provider needs a kind that we know, a name and a mode."))
    account = ProviderAccount(slug=slug, label=label.strip(), mode=mode, created_at=now)
    account.secrets_sealed = registry.sealed(account, _checked(slug, mode, secrets))
    with writing():
        _refuse_mixed(account)
        ProviderAccount.objects.filter(slug=slug, enabled=True).update(enabled=False)
        account.save(force_insert=True)
        audit.record(
            now=now,
            actor=actor,
            action="provider.added",
            subject=account.code,
            slug=slug,
            mode=mode,
        )
    return account


def replace_secrets(
    *, account: ProviderAccount, secrets: Mapping[str, str], now: datetime, actor: Actor
) -> ProviderAccount:
    """Replace all secrets of an account; the earlier ones are gone.

    Raises:
        ProviderWrong: Something is missing.
    """
    sealed = registry.sealed(account, _checked(account.slug, account.mode, secrets))
    with writing():
        ProviderAccount.objects.filter(pk=account.pk).update(secrets_sealed=sealed)
        audit.record(now=now, actor=actor, action="provider.secrets-replaced", subject=account.code)
    account.refresh_from_db()
    return account


def set_enabled(
    *, account: ProviderAccount, enabled: bool, now: datetime, actor: Actor
) -> ProviderAccount:
    """Take an account out of use or put it back; money that still comes is booked all the same.

    Raises:
        StaleState: It is like that already.
        ModesMixed: As `add_provider`.
    """
    with writing():
        if enabled:
            _refuse_mixed(account)
            ProviderAccount.objects.filter(slug=account.slug, enabled=True).exclude(
                pk=account.pk
            ).update(enabled=False)
        change_once(
            ProviderAccount.objects.filter(pk=account.pk, enabled=not enabled).update(
                enabled=enabled
            )
        )
        action = "provider.enabled" if enabled else "provider.disabled"
        audit.record(now=now, actor=actor, action=action, subject=account.code)
    account.refresh_from_db()
    return account


def _refuse_mixed(account: ProviderAccount) -> None:
    others = ProviderAccount.objects.filter(enabled=True).exclude(slug=account.slug)
    if other := others.exclude(mode=account.mode).first():
        raise ModesMixed(
            _("“%s” is in use in the other mode.") % other.label,
            _("Take it out of use first: where real money is taken, play money buys nothing."),
        )


def _checked(slug: str, mode: str, secrets: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets that the provider asks for, and no other."""
    fields = registry.KINDS[slug].secret_fields
    given = {field.name: secrets.get(field.name, "").strip() for field in fields}
    missing = [str(field.label) for field in fields if field.is_required and not given[field.name]]
    if missing:
        raise ProviderWrong(_("This is missing: %s.") % ", ".join(missing))
    if any(len(value) > MOST_SECRET for value in given.values()):
        raise ProviderWrong(_("A secret is longer than any that a provider gives out."))
    for field in fields:
        begins = field.begins.get(mode, ())
        if begins and given[field.name] and not given[field.name].startswith(begins):
            raise ProviderWrong(
                _("%(field)s of this mode begins with %(begins)s.")
                % {"field": field.label, "begins": ", ".join(begins)}
            )
    return given
