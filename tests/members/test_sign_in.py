"""Signing in with a real identity provider, there and back, and every way in which it must fail."""

from __future__ import annotations

import html
import re
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

import identity_provider
from ferriage.accounts import queries as account_queries
from ferriage.accounts.models import Account, CustomerSession
from ferriage.config import SignInConfig
from ferriage.core import clock
from ferriage.members import actions
from ferriage.members.models import Member, SignInAttempt
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpResponse
    from pytest_django.fixtures import SettingsWrapper

    from closed_office import Office
    from identity_provider import Provider

pytestmark = pytest.mark.django_db
RETURN = "http://shop.example:8000/sign-in/back/"
LIN = {"name": "Lin Mei", "staff_no": "P-17"}


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    started = identity_provider.start(tmp_path_factory.mktemp("idp"), RETURN, ["lin", "ada"])
    yield started
    started.close()


@pytest.fixture
def idp(running: Provider) -> Provider:
    running.say(lin=LIN, ada={"name": "Ada", "staff_no": "P-18"})
    return running


@pytest.fixture
def door(idp: Provider, office: Office, settings: SettingsWrapper) -> Door:
    return Door(idp, office, settings)


class Door:
    """The shop's door to the provider, as the settings set it."""

    def __init__(self, idp: Provider, office: Office, settings: SettingsWrapper) -> None:
        self.idp, self.office, self._settings = idp, office, settings
        self.client = Client()
        self.set()

    def set(self, **rules: Any) -> None:
        rules = {
            "issuer": self.idp.issuer,
            "client_id": identity_provider.CLIENT_ID,
            "client_secret": identity_provider.SECRET,
            "service": "office",
            "reference_claim": "staff_no",
            **rules,
        }
        self._settings.FERRIAGE = replace(self._settings.FERRIAGE, sign_in=SignInConfig(**rules))

    def go(self) -> str:
        """Press the link, and return where the browser is sent."""
        answer = self.client.get("/sign-in/")
        assert answer.status_code == 302, answer.content.decode()
        return str(answer["Location"])

    def come_in(self, user: str = "lin") -> HttpResponse:
        """Go to the provider, log in there, and come back."""
        return self.back(self.idp.visit(self.go(), user))

    def back(self, address: str) -> HttpResponse:
        assert address.startswith(RETURN), address
        url = urlsplit(address)
        return self.client.get(f"{url.path}?{url.query}")

    def accept(self, answer: HttpResponse) -> HttpResponse:
        """Accept the invitation that a first sign-in leads to."""
        assert answer.status_code == 302, answer.content.decode()
        return self.client.post(answer["Location"], {"place": "XD", "consent": "yes"})


def text(answer: HttpResponse) -> str:
    """Return what a page says, without its marks."""
    body = answer.content.decode().partition("<main")[2].partition("</main>")[0]
    return html.unescape(re.sub(r"<[^>]+>", " ", body))


def test_listed_person_signs_in_accepts_and_comes_back_without_asking(door: Door) -> None:
    door.office.listed()

    first = door.come_in()
    page = door.client.get(first["Location"])
    accepted = door.accept(first)

    assert ("Lin Mei" in text(page), "P-17" in text(page)) == (True, True)
    assert (accepted.status_code, accepted["Location"]) == (302, "/account/")
    account_page = text(door.client.get("/account/"))
    assert ("Lin Mei" in account_page, "P-17" in account_page) == (True, True)
    member = Member.objects.get()
    assert (member.state, member.issuer, member.subject) == (
        "active",
        door.idp.issuer,
        "subject of lin",
    )
    door.client.cookies.clear()
    again = door.come_in()
    assert again["Location"] == "/account/"
    assert door.client.get("/account/").status_code == 200


def test_session_ends_after_the_hours_of_the_settings(door: Door) -> None:
    door.office.listed()
    door.set(session_hours=2)
    door.accept(door.come_in())

    session = CustomerSession.objects.get()
    cookie = door.client.cookies["ferriage_customer"]

    left = session.expires_at - clock.now()
    assert timedelta(hours=1, minutes=59) < left <= timedelta(hours=2)
    assert cookie["max-age"] == 7200


def test_provider_is_asked_with_state_nonce_and_a_challenge(door: Door) -> None:
    asked = parse_qs(urlsplit(door.go()).query)

    assert asked["response_type"] == ["code"]
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == [RETURN]
    assert all(len(asked[name][0]) >= 43 for name in ("state", "nonce", "code_challenge"))
    kept = SignInAttempt.objects.get()
    assert asked["state"][0] not in kept.state_hash
    assert kept.nonce == asked["nonce"][0]


def test_who_is_not_on_the_list_is_turned_away(door: Door) -> None:
    answer = door.come_in()

    assert answer.status_code == 403
    assert "You are not on the list of Office net." in text(answer)
    assert not Member.objects.exists()


def test_who_the_claims_allow_is_entered_where_the_list_is_not_asked(door: Door) -> None:
    door.set(listed_only=False, required_claim="groups", required_value="vpn")
    door.idp.say(lin={**LIN, "groups": ["mail", "vpn"]}, ada={**LIN, "groups": ["mail"]})

    refused = door.come_in("ada")
    assert (refused.status_code, Member.objects.count()) == (403, 0)
    assert "has not given you this service" in text(refused)
    door.accept(door.come_in("lin"))

    member = Member.objects.get()
    assert (member.reference, member.name, member.state) == ("P-17", "Lin Mei", "active")
    account = Account.objects.get()
    assert (account.account_class, account.label) == ("own_staff", "Lin Mei")


@pytest.mark.parametrize("claims", [{}, {"staff_no": ""}, {"staff_no": ["P-17"]}, {"name": ""}])
def test_who_is_not_named_by_the_claims_is_turned_away(door: Door, claims: dict[str, Any]) -> None:
    door.set(listed_only=False)
    door.idp.say(lin={**LIN, **claims} if claims else {"name": "Lin"})

    answer = door.come_in()

    assert (answer.status_code, Member.objects.count()) == (403, 0)
    assert "does not say who you are" in text(answer)


def test_claims_of_userinfo_count_too(door: Door) -> None:
    door.set(listed_only=False)
    door.idp.say(lin={"_told": LIN})

    door.accept(door.come_in())

    assert Member.objects.get().reference == "P-17"


def test_userinfo_of_somebody_else_is_refused(door: Door) -> None:
    door.set(listed_only=False)
    door.idp.say(lin={"_told": {**LIN, "sub": "subject of ada"}})

    assert door.come_in().status_code == 403
    assert not Member.objects.exists()


@pytest.mark.parametrize("active", [False, "false", None])
def test_who_is_not_active_any_more_is_held_when_they_sign_in(door: Door, active: object) -> None:
    door.set(active_claim="employed")
    door.idp.say(lin={**LIN, "employed": True})
    door.office.listed()
    door.accept(door.come_in())
    door.idp.say(lin={**LIN, "employed": active} if active is not None else LIN)

    answer = door.come_in()

    assert answer.status_code == 403
    assert "does not say that you are active" in text(answer)
    assert Member.objects.get().state == "left"
    assert door.client.get("/account/").status_code == 302
    door.idp.say(lin={**LIN, "employed": True})
    assert "You have left Office net." in text(door.come_in())


def test_leaver_does_not_come_in_though_the_provider_knows_them(door: Door) -> None:
    door.office.listed()
    door.accept(door.come_in())
    actions.leave(member=Member.objects.get(), now=clock.now(), actor=OWNER)

    answer = door.come_in()

    assert (answer.status_code, "You have left" in text(answer)) == (403, True)


def test_second_person_with_a_reference_that_was_signed_in_with_is_turned_away(door: Door) -> None:
    door.office.listed()
    door.accept(door.come_in())
    door.idp.say(ada=LIN)

    answer = door.come_in("ada")

    assert (answer.status_code, "Somebody else has signed in as P-17" in text(answer)) == (
        403,
        True,
    )


def test_number_of_an_invited_person_opens_nothing_once_they_sign_in(door: Door) -> None:
    accepted = door.office.active()
    assert account_queries.account_by_number(accepted.number) is not None

    answer = door.come_in()

    assert answer["Location"] == "/account/"
    assert account_queries.account_by_number(accepted.number) is None


# --- what must be refused ----------------------------------------------------------------------

FORGED = [
    ({"aud": "another shop"}, "it was made for another application"),
    ({"aud": ["another shop", "shop"], "azp": "another shop"}, "another application"),
    ({"iss": "http://127.0.0.1:1"}, "it comes from another provider"),
    ({"nonce": "altered"}, "it belongs to another sign-in"),
    ({"nonce": None}, "it belongs to another sign-in"),
    ({"exp": 1}, "it has expired"),
    ({"exp": None}, "it has expired, or does not say when it does"),
    ({"sub": None}, "refused: sub"),
    ({"at_hash": "YWx0ZXJlZA"}, "another access token"),
    ({"iat": int(time.time()) + 3600}, "refused"),
]


@pytest.mark.parametrize(("forged", "said"), FORGED, ids=str)
def test_token_with_altered_claims_is_refused(
    door: Door, forged: dict[str, Any], said: str
) -> None:
    door.office.listed()
    door.idp.say(lin={**LIN, "_forged": forged})

    answer = door.come_in()

    assert answer.status_code == 403
    assert said in text(answer)
    assert Member.objects.get().subject == ""


def test_token_signed_by_a_key_that_is_not_published_is_refused(door: Door) -> None:
    door.office.listed()
    door.idp.say(lin={**LIN, "_foreign_key": True})

    answer = door.come_in()

    assert answer.status_code == 403
    assert "one of the provider" in text(answer)


def test_state_works_once(door: Door) -> None:
    door.office.listed()
    address = door.idp.visit(door.go(), "lin")
    cookie = door.client.cookies["ferriage_sign_in"].value

    assert door.back(address).status_code == 302
    door.client.cookies["ferriage_sign_in"] = cookie
    replayed = door.back(address)

    assert replayed.status_code == 403
    assert "This sign-in was finished before" in text(replayed)


def test_answer_that_comes_to_another_browser_is_refused(door: Door) -> None:
    door.office.listed()
    address = door.idp.visit(door.go(), "lin")
    door.client = Client()

    refused = door.back(address)
    assert refused.status_code == 403
    assert "was not begun in this browser" in text(refused)
    door.go()  # a sign-in of its own does not make the other one its own
    assert door.back(address).status_code == 403
    assert Member.objects.get().subject == ""


@pytest.mark.parametrize("query", ["", "?code=x", "?code=x&state=", "?code=x&state=made-up"])
def test_answer_without_a_state_of_ours_is_refused(door: Door, query: str) -> None:
    door.go()

    assert door.client.get(f"/sign-in/back/{query}").status_code == 403


def test_code_of_another_sign_in_is_refused(door: Door) -> None:
    """Somebody else's code, stolen on its way, does not fit our challenge."""
    door.office.listed()
    stolen = parse_qs(urlsplit(door.idp.visit(door.go(), "lin")).query)["code"][0]
    state = parse_qs(urlsplit(door.go()).query)["state"][0]

    answer = door.back(f"{RETURN}?code={stolen}&state={state}")

    assert answer.status_code == 403
    assert "invalid_grant" in text(answer)


def test_refusal_of_the_provider_is_told(door: Door) -> None:
    state = parse_qs(urlsplit(door.go()).query)["state"][0]

    answer = door.back(f"{RETURN}?error=access_denied&state={state}")

    assert (answer.status_code, "access_denied" in text(answer)) == (403, True)


def test_attempt_runs_out_after_ten_minutes(door: Door) -> None:
    door.office.listed()
    address = door.idp.visit(door.go(), "lin")
    SignInAttempt.objects.update(expires_at=clock.now())

    assert door.back(address).status_code == 403


def test_wrong_secret_is_told_as_the_providers_refusal(door: Door) -> None:
    door.office.listed()
    door.set(client_secret="wrong")

    answer = door.come_in()

    assert (answer.status_code, "invalid_client" in text(answer)) == (403, True)


def test_provider_that_is_away_is_told(door: Door) -> None:
    door.set(issuer="http://127.0.0.1:1")

    answer = door.client.get("/sign-in/")

    assert answer.status_code == 503
    assert "The identity provider cannot be used now" in text(answer)


def test_provider_that_calls_itself_otherwise_is_not_used(door: Door) -> None:
    door.set(issuer=door.idp.issuer.replace("127.0.0.1", "localhost"))

    assert door.client.get("/sign-in/").status_code == 503


def test_provider_without_https_is_not_used(door: Door) -> None:
    door.set(issuer="http://id.example")

    answer = door.client.get("/sign-in/")

    assert (answer.status_code, "is not https" in text(answer)) == (503, True)


@pytest.mark.parametrize("rules", [{"issuer": ""}, {"service": "none"}])
def test_without_provider_or_service_there_is_no_door(door: Door, rules: dict[str, str]) -> None:
    door.set(**rules)

    assert door.client.get("/sign-in/").status_code == 404
    assert door.client.get("/sign-in/back/").status_code == 404


def test_log_in_page_names_the_provider_only_where_there_is_one(door: Door) -> None:
    door.set(label="Harbour ID")
    assert "Sign in with Harbour ID" in text(door.client.get("/log-in/"))

    door.set(issuer="")
    assert "Sign in with" not in text(door.client.get("/log-in/"))
