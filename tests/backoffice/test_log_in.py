from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse
from people import PASSWORD, SECRET, code, logged_in, make_staff

from ferriage.accounts import actions
from ferriage.core import clock
from ferriage.web.backoffice.roles import set_role

if TYPE_CHECKING:
    from ferriage.core.actors import Actor

pytestmark = pytest.mark.django_db


def _link(owner: Actor, role: str = "support") -> str:
    token = actions.create_staff_link(purpose="invite", role=role, now=clock.now(), actor=owner)
    return reverse("staff-link", args=[token])


def _choose(name: str = "nina") -> dict[str, str]:
    return {"username": name, "password": PASSWORD, "again": PASSWORD}


def test_staff_link_leads_through_second_factor_to_start_page(owner: Actor) -> None:
    client = Client()

    chosen = client.post(_link(owner), _choose(), follow=True)
    secret = re.search(r'<code class="copyable">(\w+)</code>', chosen.content.decode())
    assert secret is not None, "the set-up page shows the secret"
    codes = client.post(reverse("mfa_activate_totp"), {"code": code(secret[1])}, follow=True)

    assert "no-store" in chosen.headers["Cache-Control"]
    assert "no-store" in codes.headers["Cache-Control"]
    assert chosen.redirect_chain[-1][0] == reverse("mfa_activate_totp")
    assert codes.redirect_chain[-1][0] == reverse("mfa_view_recovery_codes")
    assert codes.content.decode().count("<li>") == 10
    assert client.get(reverse("staff-start")).status_code == 200


def test_secret_stays_while_the_page_is_read_again(owner: Actor) -> None:
    client = Client()
    pages = [client.post(_link(owner), _choose(), follow=True)]
    pages += [client.get(reverse("mfa_activate_totp")) for _ in range(2)]

    shown = [
        re.findall(r'<code class="copyable">(\w+)</code>', page.content.decode()) for page in pages
    ]

    assert shown[0] == shown[1] == shown[2] != []
    done = client.post(reverse("mfa_activate_totp"), {"code": code(shown[0][0])})
    assert done.status_code == 302


def test_staff_link_works_once(owner: Actor) -> None:
    link = _link(owner)
    Client().post(link, _choose())

    again = Client().post(link, _choose("mallory"))

    assert again.status_code == 410
    assert list(User.objects.values_list("username", flat=True)) == ["nina"]


def test_log_names_no_staff_link(owner: Actor, caplog: pytest.LogCaptureFixture) -> None:
    link = _link(owner)

    Client().post(link, _choose() | {"again": "something else"})
    Client(enforce_csrf_checks=True).post(link, _choose())
    Client().get(f"{link}mistyped")

    assert "/staff/link/<str:token>/" in caplog.text
    assert link.split("/")[3] not in caplog.text


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"again": "something else"}, "again"),
        ({"password": "short", "again": "short"}, "password"),
        ({"password": "qwerty123456", "again": "qwerty123456"}, "password"),
        ({"username": ""}, "username"),
    ],
)
def test_bad_choice_is_refused_and_link_stays_usable(
    owner: Actor, typed: dict[str, str], field: str
) -> None:
    link = _link(owner)

    answer = Client().post(link, _choose() | typed)

    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]
    assert not User.objects.exists()
    assert Client().get(link).status_code == 200


def test_log_in_asks_password_then_code(owner: Actor) -> None:
    make_staff(owner.code, "owner")
    client = Client()

    with_password = client.post(
        reverse("account_login"), {"login": owner.code, "password": PASSWORD}
    )
    too_early = client.get(reverse("staff-start"))
    with_code = client.post(reverse("mfa_authenticate"), {"code": code(SECRET)})

    assert with_password.headers["Location"] == reverse("mfa_authenticate")
    assert too_early.headers["Location"].startswith(reverse("account_login"))
    assert with_code.headers["Location"] == reverse("staff-start")
    assert client.get(reverse("staff-start")).status_code == 200


def test_code_works_once(owner: Actor) -> None:
    make_staff(owner.code, "owner")
    shown = code(SECRET)
    first, second = Client(), Client()
    for client in (first, second):
        client.post(reverse("account_login"), {"login": owner.code, "password": PASSWORD})

    assert first.post(reverse("mfa_authenticate"), {"code": shown}).status_code == 302
    assert second.post(reverse("mfa_authenticate"), {"code": shown}).status_code == 200
    assert second.get(reverse("staff-start")).status_code == 302


def _answers(name: str, shown: str) -> bool:
    """Log in with password and code, and tell whether the code was taken."""
    client = Client()
    client.post(reverse("account_login"), {"login": name, "password": PASSWORD})
    return client.post(reverse("mfa_authenticate"), {"code": shown}).status_code == 302


@pytest.mark.parametrize(
    ("off", "taken"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)]
)
def test_code_may_be_one_step_off(owner: Actor, off: int, *, taken: bool) -> None:
    make_staff(owner.code, "owner")
    shown = code(SECRET, clock.now() + timedelta(seconds=off))

    assert _answers(owner.code, shown) is taken


def test_code_works_once_for_as_long_as_it_is_right(owner: Actor) -> None:
    make_staff(owner.code, "owner")
    begins = clock.now().replace(second=0, microsecond=0)
    shown = code(SECRET, begins + timedelta(seconds=30))
    found = []
    for seconds in (0, 40, 85):  # right from the beginning on, for a minute and a half
        with time_machine.travel(begins + timedelta(seconds=seconds), tick=False):
            found.append(_answers(owner.code, shown))

    assert found == [True, False, False]


def test_guessing_passwords_is_stopped(owner: Actor) -> None:
    make_staff(owner.code, "owner")
    client = Client()
    for _guess in range(5):
        client.post(reverse("account_login"), {"login": owner.code, "password": "wrong"})

    right = client.post(reverse("account_login"), {"login": owner.code, "password": PASSWORD})

    assert right.status_code == 200
    assert "Too many failed" in right.content.decode()


def test_staff_without_second_factor_are_sent_to_set_it_up(owner: Actor) -> None:
    client = logged_in(make_staff(owner.code, "owner", factor=False))

    answer = client.get(reverse("staff-lines"))

    assert answer.headers["Location"] == reverse("mfa_activate_totp")


def test_second_factor_cannot_be_taken_off(owner: Actor) -> None:
    user = make_staff(owner.code, "owner")

    logged_in(user).post(reverse("mfa_deactivate_totp"))

    assert Authenticator.objects.filter(user=user, type="totp").count() == 1


def test_second_factor_is_encrypted_in_the_database(owner: Actor) -> None:
    user = make_staff(owner.code, "owner")

    stored = Authenticator.objects.get(user=user).data["secret"]

    assert SECRET not in stored
    assert Authenticator.objects.get(user=user).wrap().validate_code(code(SECRET))


def test_reset_link_sets_password_and_second_factor_anew(owner: Actor) -> None:
    user = make_staff("sofia", "support")
    before = logged_in(user)
    token = actions.create_staff_link(purpose="reset", user=user, now=clock.now(), actor=owner)
    new = {"password": "another good one 77", "again": "another good one 77"}

    answer = Client().post(reverse("staff-link", args=[token]), new, follow=True)

    user.refresh_from_db()
    assert user.check_password("another good one 77")
    assert answer.redirect_chain[-1][0] == reverse("mfa_activate_totp")
    assert before.get(reverse("staff-start")).status_code == 302, "old sessions end"


def test_nobody_signs_up() -> None:
    for path in ("signup/", "password/reset/", "email/", "social/signup/"):
        assert Client().get(f"/staff/{path}").status_code in {302, 404}
    assert not User.objects.exists()


def test_used_reset_link_ends_the_others_of_the_same_person(owner: Actor) -> None:
    user = make_staff("nina", "support")
    one, two = (
        actions.create_staff_link(purpose="reset", user=user, now=clock.now(), actor=owner)
        for _ in range(2)
    )

    Client().post(reverse("staff-link", args=[one]), _choose())

    assert Client().get(reverse("staff-link", args=[two])).status_code == 410


@pytest.mark.parametrize("role", ["", "support"])
def test_links_end_with_the_right_of_the_owner_who_could_make_them(owner: Actor, role: str) -> None:
    user = make_staff("olga", "owner")
    make_staff("oscar", "owner")
    link = _link(owner, "owner")

    set_role(user=user, role=role, now=clock.now(), actor=owner)

    assert Client().get(link).status_code == 410


def test_strangers_guesses_neither_lock_out_staff_nor_leave_an_address() -> None:
    make_staff("nina", "support")
    for number in range(31):
        guess = {"login": f"stranger-{number}", "password": "wrong"}
        Client().post(reverse("account_login"), guess)

    answer = Client().post(reverse("account_login"), {"login": "nina", "password": PASSWORD})

    assert (answer.status_code, answer.headers["Location"]) == (302, reverse("mfa_authenticate"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM core_cache WHERE cache_key LIKE '%127.0.0.1%'")
        assert cursor.fetchone() == (0,)
