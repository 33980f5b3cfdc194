from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.utils.translation import gettext_lazy as _

from ferriage.accounts import queries
from ferriage.accounts.models import (
    Account,
    CalendarFeed,
    CustomerSession,
    StaffLink,
    StaffProfile,
)
from ferriage.core import audit, codes
from ferriage.core.actors import Actor
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.hashing import hash_secret, new_token

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

SESSION_LENGTH: Final = timedelta(days=30)
LINK_LENGTH: Final = timedelta(hours=24)


class ClosedService(FerriageError):
    """A closed service takes named people only, by invitation."""

    slug = "closed-service"
    status = 403


class LinkUnusable(FerriageError):
    """The staff link was used, has run out, or never was one."""

    slug = "staff-link"
    status = 403


class StaffWrong(FerriageError):
    """Name, password or role of a member of staff cannot be taken."""

    slug = "staff-wrong"
    status = 422


@dataclass(frozen=True, slots=True)
class OpenedAccount:
    """A new account and its number, which is never to be had again."""

    account: Account
    number: str


def open_account(
    *,
    now: datetime,
    actor: Actor,
    account_class: str = Account.Class.PUBLIC,
    place: str = "",
    label: str = "",
    language: str = "en",
    invited: bool = False,
) -> OpenedAccount:
    """Open an account under a new number.

    Args:
        invited: Staff have put this person on a closed service's list, and it is they who accept.

    Raises:
        ClosedService: A class other than public needs staff, a command or an invitation, and a
            name.
    """
    stranger = actor.kind == "customer" and not invited
    if account_class != Account.Class.PUBLIC and (stranger or not label):
        raise ClosedService(
            _("This service is for invited, named people only."),
            _("Ask the operator to invite you."),
        )
    number = codes.random_characters()
    with writing():
        account = Account.objects.create(
            number_hash=hash_secret("account", number),
            account_class=account_class,
            place=place,
            label=label,
            language=language,
            created_on=now.date(),
        )
        audit.record(now=now, actor=actor, action="account.opened", account_class=account_class)
    return OpenedAccount(account, number)


def open_accounts(
    *, places: Sequence[str], language: str, now: datetime, actor: Actor
) -> list[OpenedAccount]:
    """Open an account of the public for each place, in order; one audit entry for all of them."""
    numbers = [codes.random_characters() for _place in places]
    with writing():
        made = Account.objects.bulk_create(
            [
                Account(
                    number_hash=hash_secret("account", number),
                    place=place,
                    language=language,
                    created_on=now.date(),
                )
                for number, place in zip(numbers, places, strict=True)
            ]
        )
        audit.record(now=now, actor=actor, action="accounts.opened", number=len(made))
    return [OpenedAccount(*pair) for pair in zip(made, numbers, strict=True)]


def close_account(*, account: Account, now: datetime, actor: Actor) -> Account:
    """End an account: its number opens nothing any more and its sessions are over.

    What it holds is for the caller to end.
    """
    with writing():
        Account.objects.filter(pk=account.pk).update(closed_at=now)
        CustomerSession.objects.filter(account=account).delete()
        audit.record(now=now, actor=actor, action="account.closed")
    account.closed_at = now
    return account


def reopen_account(*, account: Account, label: str, now: datetime, actor: Actor) -> OpenedAccount:
    """Open an account of a closed service anew, under a new number and a name.

    What was opened with the number before ends.
    """
    number = codes.random_characters()
    with writing():
        CustomerSession.objects.filter(account=account).delete()
        account.number_hash = hash_secret("account", number)
        account.label = label
        account.closed_at = None
        account.save(update_fields=["number_hash", "label", "closed_at"])
        audit.record(now=now, actor=actor, action="account.reopened")
    return OpenedAccount(account, number)


def withdraw_number(*, account: Account, now: datetime, actor: Actor) -> None:
    """Let an account's number and sessions open nothing any more: its owner signs in instead."""
    with writing():
        Account.objects.filter(pk=account.pk).update(
            number_hash=hash_secret("account", codes.random_characters())
        )
        CustomerSession.objects.filter(account=account).delete()
        audit.record(now=now, actor=actor, action="account.number_withdrawn")


def replace_number(*, account: Account, now: datetime, actor: Actor) -> str:
    """Give an account another number and return it; the old one and all sessions end at once.

    Raises:
        ClosedService: Staff give numbers to people of closed services.
    """
    if account.account_class != Account.Class.PUBLIC:
        raise ClosedService(
            _("In a closed service staff give out numbers."), _("Ask them for a new one.")
        )
    number = codes.random_characters()
    with writing():
        CustomerSession.objects.filter(account=account).delete()
        account.number_hash = hash_secret("account", number)
        account.save(update_fields=["number_hash"])
        audit.record(now=now, actor=actor, action="account.number_replaced")
    return number


def speak(*, account: Account, language: str) -> Account:
    """Keep the language in which gateways speak to a customer; telling them is the caller's."""
    with writing():
        account.language = language
        account.save(update_fields=["language"])
    return account


def relabel_all(*, labels: Mapping[int, str]) -> None:
    """Put other names on accounts of closed services, by primary key."""
    with writing():
        rows = [Account(pk=pk, label=label) for pk, label in labels.items()]
        Account.objects.bulk_update(rows, ["label"], batch_size=500)


def start_session(*, account: Account, now: datetime, length: timedelta = SESSION_LENGTH) -> str:
    """Log a customer in and return the token for the cookie; runs for 30 days, or as told."""
    token = new_token()
    with writing():
        CustomerSession.objects.filter(expires_at__lte=now).delete()
        CustomerSession.objects.create(
            token_hash=hash_secret("session", token),
            account=account,
            created_on=now.date(),
            expires_at=now + length,
        )
    return token


def end_session(*, token: str) -> None:
    """Log a customer out; an unknown token changes nothing."""
    with writing():
        CustomerSession.objects.filter(token_hash=hash_secret("session", token)).delete()


def declare_place(*, account: Account, place: str, now: datetime, actor: Actor) -> Account:
    """Keep the place a customer says to be in (ISO 3166)."""
    with writing():
        account.place = place
        account.save(update_fields=["place"])
        audit.record(now=now, actor=actor, action="place.declared", place=place)
    return account


# --- staff ------------------------------------------------------------------------------------


def create_staff_link(
    *, purpose: str, now: datetime, actor: Actor, role: str = "", user: User | None = None
) -> str:
    """Make a link that works once within a day, and return its token.

    Raises:
        StaffWrong: An invitation without a role, or a reset without a member of staff.
    """
    if purpose == StaffLink.Purpose.INVITE:
        if role not in StaffProfile.Role.values:
            raise StaffWrong(
                _("There is no such role."),
                _("Roles are: %(roles)s.") % {"roles": ", ".join(StaffProfile.Role.values)},
            )
    elif user is None:
        raise StaffWrong(_("A reset needs the name of a member of staff."))
    token = new_token()
    with writing():
        StaffLink.objects.create(
            token_hash=hash_secret("staff-link", token),
            purpose=purpose,
            role=role,
            user=user,
            created_at=now,
            expires_at=now + LINK_LENGTH,
        )
        subject = user.get_username() if user else ""
        audit.record(
            now=now, actor=actor, action=f"staff.{purpose}_link_made", subject=subject, role=role
        )
    return token


def use_staff_link(*, token: str, username: str, password: str, now: datetime) -> User:
    """Make the invited member of staff, or set the password of the one whose link it is.

    Other links of the same person end with it.

    Raises:
        LinkUnusable: Used, run out, or unknown.
        StaffWrong: The name is taken, in capitals or small letters, or empty, or the password too
            weak; the link stays usable.
    """
    link = queries.staff_link(token, now)
    if link is None:
        raise LinkUnusable(
            _("This link cannot be used: it was used before or has run out."),
            _("Ask an owner for a new one, or run `ferriage staff invite` on the host."),
        )
    _check_password(password, link.user or User(username=username))
    try:
        with writing():
            used = StaffLink.objects.filter(pk=link.pk, used_at__isnull=True).update(used_at=now)
            if used != 1:
                raise LinkUnusable(_("This link was used just now."))
            if link.user:
                StaffLink.objects.filter(user=link.user, used_at=None).update(expires_at=now)
            user = link.user or _new_user(username, link.role)
            user.set_password(password)
            user.save()
            actor = Actor("staff", user.get_username())
            action = f"staff.{link.purpose}_link_used"
            audit.record(now=now, actor=actor, action=action, role=link.role)
    except IntegrityError as error:
        raise StaffWrong(_("This name is taken."), _("Choose another one.")) from error
    return user


def make_calendar_feed(*, user: User, now: datetime, actor: Actor) -> str:
    """Give somebody's calendar program a token to read with; a former one ends.

    It reads and does nothing else, for as long as they have a role that may look at the calendar.
    """
    token = new_token()
    with writing():
        CalendarFeed.objects.filter(user=user, ended_at=None).update(ended_at=now)
        CalendarFeed.objects.create(
            user=user, token_hash=hash_secret("calendar-feed", token), created_at=now
        )
        audit.record(now=now, actor=actor, action="calendar_feed.made", subject=user.get_username())
    return token


def end_calendar_feed(*, user: User, now: datetime, actor: Actor) -> None:
    """Let nobody read with somebody's token any more; without one nothing changes."""
    with writing():
        if CalendarFeed.objects.filter(user=user, ended_at=None).update(ended_at=now):
            name = user.get_username()
            audit.record(now=now, actor=actor, action="calendar_feed.ended", subject=name)


def _new_user(username: str, role: str) -> User:
    try:
        User.username_validator(username)
    except ValidationError as error:
        raise StaffWrong(" ".join(error.messages)) from error
    actor = Actor("staff", username)
    if any(map(actor.is_called, User.objects.values_list("username", flat=True))):
        raise StaffWrong(_("This name is taken."), _("Choose another one."))
    user = User.objects.create(username=username, is_staff=True)
    StaffProfile.objects.create(user=user, role=role)
    return user


def _check_password(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise StaffWrong(" ".join(error.messages)) from error
