"""Links for staff: each works once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.cli import house
from ferriage.cli.words import CommandError, Exit, say
from ferriage.core.actors import Actor

if TYPE_CHECKING:
    import argparse

    from ferriage.config import Config


def invite(parsed: argparse.Namespace) -> int:
    """Print a link that makes one member of staff."""
    config = house.enter()
    say(invitation(config, parsed.role))
    return Exit.DONE


def invitation(config: Config, role: str) -> str:
    """Return the address at which one person may become staff with this role."""
    from ferriage.accounts.actions import create_staff_link
    from ferriage.core import clock

    token = create_staff_link(
        purpose="invite", role=role, now=clock.now(), actor=Actor("command", "staff invite")
    )
    return _address(config, token)


def reset(parsed: argparse.Namespace) -> int:
    """Print a link that gives somebody a new password and second factor."""
    config = house.enter()
    from django.contrib.auth.models import User

    from ferriage.accounts.actions import create_staff_link
    from ferriage.core import clock

    user = User.objects.filter(username=parsed.username).first()
    if user is None:
        raise CommandError(f"There is no member of staff called “{parsed.username}”.")
    token = create_staff_link(
        purpose="reset", user=user, now=clock.now(), actor=Actor("command", "staff reset")
    )
    say(_address(config, token))
    return Exit.DONE


def _address(config: Config, token: str) -> str:
    from django.urls import reverse

    return config.site.url.rstrip("/") + reverse("staff-link", args=[token])
