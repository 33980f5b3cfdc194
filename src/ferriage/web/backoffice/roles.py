"""Changing what a member of staff may do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.models import User
from django.utils.translation import gettext_lazy as _

from ferriage.accounts.models import StaffLink, StaffProfile
from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor


class LastOwner(FerriageError):
    """Without an owner nobody could let anybody in."""

    slug = "last-owner"


def set_role(*, user: User, role: str, now: datetime, actor: Actor) -> StaffProfile:
    """Give a member of staff another role; without one they cannot come in any more.

    Rights are read at each request, so it holds from their next click on. Whoever was an owner may
    have kept a link for coming back, so all that wait end with it.

    Args:
        role: One of `StaffProfile.Role`, or empty to close their log-in.

    Raises:
        LastOwner: They are the only owner, and would not be one any longer.
    """
    with writing():
        profile = StaffProfile.objects.get(user=user)
        if role != StaffProfile.Role.OWNER and not _other_owners(user):
            raise LastOwner(
                _("%s is the only owner of this shop.") % user.get_username(),
                _("Make somebody else an owner first."),
            )
        if profile.role == StaffProfile.Role.OWNER != role:
            StaffLink.objects.filter(used_at=None, expires_at__gt=now).update(expires_at=now)
        if role:
            StaffProfile.objects.filter(pk=profile.pk).update(role=role)
        User.objects.filter(pk=user.pk).update(is_active=bool(role))
        profile.refresh_from_db()
        audit.record(
            now=now, actor=actor, action="staff.role_set", subject=user.get_username(), role=role
        )
    return profile


def _other_owners(user: User) -> bool:
    owners = StaffProfile.objects.filter(role=StaffProfile.Role.OWNER, user__is_active=True)
    return owners.exclude(user=user).exists()
