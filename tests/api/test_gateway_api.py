from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from ferriage import wire
from ferriage.agent.client import Answer
from ferriage.agent.errors import Unreachable
from ferriage.core import clock
from ferriage.fleet import actions, alarmwords, site, sitetime
from ferriage.fleet.models import Alarm, Gateway, PoolGateway
from ferriage.web.api.signed import LARGEST_BYTES
from yard import OWNER, EnrolledGateway, Yard, enrolment, report_of, signed_headers, status

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from django.http import HttpResponse
    from django.test import Client


@pytest.fixture
def now() -> datetime:
    """Views read the clock themselves, so these tests live in the present."""
    return clock.now()


def _post(
    client: Client, key: str, code: str, path: str, body: bytes, *, late: int = 0
) -> tuple[HttpResponse, dict[str, str]]:
    target = f"/gateway/v1/{path}"
    at = clock.unix(clock.now()) - late
    headers = signed_headers(key, code, method="POST", target=target, body=body, at=at)
    answer = client.post(target, body, content_type="application/json", headers=headers)
    return answer, headers  # type: ignore[return-value]


def _verified[T](answer: HttpResponse, request: dict[str, str], kind: type[T]) -> T:
    message = wire.answer_message(
        status=answer.status_code,
        body=answer.content,
        gateway=request[wire.HEADER_GATEWAY],
        nonce=request[wire.HEADER_NONCE],
        now=int(answer[wire.HEADER_NOW]),
    )
    wire.verify(
        wire.public_key(site.permit_key()), "answer", message, answer[wire.HEADER_SIGNATURE]
    )
    return wire.decode(answer.content, kind)


@pytest.fixture
def gateway(yard: Yard) -> EnrolledGateway:
    return yard.gateway(yard.plan())


def _pool(gateway: EnrolledGateway) -> str:
    return PoolGateway.objects.select_related("pool").get(gateway=gateway.row).pool.code


def test_enrolment_is_answered_signed(yard: Yard, client: Client, now: datetime) -> None:
    gateway = yard.gateway()
    token = actions.new_enrol_token(gateway=gateway.row, now=now, actor=OWNER)
    key, request = enrolment(token)

    answer, headers = _post(client, key, "", "enrol", wire.encode(request))

    assert answer.status_code == 200
    assert _verified(answer, headers, wire.EnrolAnswer).gateway == gateway.row.code


def test_used_token_is_refused_signed(client: Client, gateway: EnrolledGateway) -> None:
    key, request = enrolment(gateway.token)
    before = Gateway.objects.values().get()

    answer, headers = _post(client, key, "", "enrol", wire.encode(request))

    assert answer.status_code == 403
    assert _verified(answer, headers, wire.Problem).slug == "token"
    assert Gateway.objects.values().get() == before


def test_enrolment_signed_with_another_key_is_refused(yard: Yard, client: Client) -> None:
    token = yard.gateway().token
    _key, request = enrolment(token)

    answer, headers = _post(client, wire.new_private_key(), "", "enrol", wire.encode(request))

    assert answer.status_code == 401
    assert _verified(answer, headers, wire.Problem).slug == "signature"


def test_report_is_taken_over(client: Client, gateway: EnrolledGateway) -> None:
    body = wire.encode(report_of(status(_pool(gateway))))

    answer, headers = _post(client, gateway.signing_key, gateway.row.code, "report", body)

    assert answer.status_code == 200
    assert _verified(answer, headers, wire.ReportAnswer).fence == 1
    assert PoolGateway.objects.get().applied_rev == 3


def test_former_host_is_refused_from_the_moment_another_one_enrolled(
    client: Client, gateway: EnrolledGateway, now: datetime
) -> None:
    body, code = wire.encode(report_of()), gateway.row.code
    token = actions.new_enrol_token(gateway=gateway.row, now=now, actor=OWNER)
    before, _ = _post(client, gateway.signing_key, code, "report", body)
    key, request = enrolment(token)
    _post(client, key, "", "enrol", wire.encode(request))

    former, headers = _post(client, gateway.signing_key, code, "report", body)
    new, _ = _post(client, key, code, "report", wire.encode(report_of(instance="new")))

    assert [answer.status_code for answer in (before, former, new)] == [200, 401, 200]
    assert _verified(former, headers, wire.Problem).slug == "signature"


def test_report_sent_again_byte_for_byte_changes_nothing(
    client: Client, gateway: EnrolledGateway
) -> None:
    body = wire.encode(report_of(status(_pool(gateway))))
    first, headers = _post(client, gateway.signing_key, gateway.row.code, "report", body)
    before = Gateway.objects.values().get()

    again = client.post(
        "/gateway/v1/report", body, content_type="application/json", headers=headers
    )

    assert again.content == first.content
    assert Gateway.objects.values().get() == before


def test_second_agent_is_answered_lease(client: Client, gateway: EnrolledGateway) -> None:
    for instance, code in (("first", 200), ("second", 409)):
        body = wire.encode(report_of(instance=instance))
        answer, headers = _post(client, gateway.signing_key, gateway.row.code, "report", body)
        assert answer.status_code == code

    assert _verified(answer, headers, wire.Problem).slug == "lease"
    assert Gateway.objects.get().lease_instance == "first"


def test_wrong_clock_is_told_the_right_time(client: Client, gateway: EnrolledGateway) -> None:
    for late in (301, -310):
        answer, headers = _post(
            client, gateway.signing_key, gateway.row.code, "report", b"{}", late=late
        )

        assert answer.status_code == 401
        assert _verified(answer, headers, wire.Problem).slug == "clock"
        assert abs(int(answer[wire.HEADER_NOW]) - clock.unix(clock.now())) <= 2


def test_gateway_is_told_no_time_before_its_last_report(
    client: Client, gateway: EnrolledGateway, now: datetime
) -> None:
    """The site's clock was set back by ten minutes; who ended meanwhile stays ended."""
    last = now + timedelta(minutes=10)
    Gateway.objects.update(last_seen_at=last)
    body = wire.encode(report_of(status(_pool(gateway))))
    key, code = gateway.signing_key, gateway.row.code

    for late, expected in ((-600, 200), (0, 401)):
        answer, _ = _post(client, key, code, "report", body, late=late)
        assert answer.status_code == expected
        assert int(answer[wire.HEADER_NOW]) == clock.unix(last)

    assert Gateway.objects.get().last_seen_at == last
    alarm = Alarm.objects.get()
    assert (alarm.kind, alarm.subject) == ("clock_wrong", "site")
    assert alarmwords.said(alarm) == sitetime.BEHIND


def test_answer_to_a_stolen_gateway_is_none_for_another(
    client: Client, gateway: EnrolledGateway
) -> None:
    body = wire.encode(report_of())
    answer, headers = _post(client, gateway.signing_key, gateway.row.code, "report", body)
    handed_on = Answer(
        answer.status_code,
        answer.content,
        answer[wire.HEADER_NOW],
        answer[wire.HEADER_SIGNATURE],
    )
    key, nonce = wire.public_key(site.permit_key()), headers[wire.HEADER_NONCE]

    assert handed_on.verified(key, gateway.row.code, nonce) > 0
    with pytest.raises(Unreachable):
        handed_on.verified(key, "gw_OTHER", nonce)


def test_gateway_cannot_sign_for_another(
    yard: Yard, client: Client, gateway: EnrolledGateway
) -> None:
    other = yard.gateway(name="beta")
    body = wire.encode(report_of())

    answer, _headers = _post(client, other.signing_key, gateway.row.code, "report", body)

    assert answer.status_code == 401
    assert list(Gateway.objects.values_list("fence", flat=True)) == [0, 0]


def test_closed_gateway_is_told(client: Client, gateway: EnrolledGateway, now: datetime) -> None:
    actions.close_gateway(gateway=gateway.row, now=now, actor=OWNER)

    answer, headers = _post(
        client, gateway.signing_key, gateway.row.code, "report", wire.encode(report_of())
    )

    assert answer.status_code == 409
    assert _verified(answer, headers, wire.Problem).slug == "gateway-closed"


def _standing(client: Client, gateway: EnrolledGateway) -> wire.Standing:
    body = wire.encode(wire.StandingRequest(format=wire.FEED_FORMAT))
    answer, headers = _post(client, gateway.signing_key, gateway.row.code, "standing", body)
    assert answer.status_code == 200
    return _verified(answer, headers, wire.Standing)


def test_gateway_may_ask_what_was_decided_about_it_and_when(
    client: Client, gateway: EnrolledGateway, now: datetime
) -> None:
    at, later = now - timedelta(hours=3), now - timedelta(hours=1)
    told = [_standing(client, gateway)]
    actions.drain_gateway(gateway=gateway.row, now=at, actor=OWNER)
    told.append(_standing(client, gateway))
    actions.close_gateway(gateway=gateway.row, now=later, actor=OWNER)
    told.append(_standing(client, gateway))

    assert told == [
        wire.Standing("serving"),
        wire.Standing("draining", clock.unix(at)),
        wire.Standing("closed", clock.unix(later)),
    ]


def test_nobody_else_is_told_what_was_decided(client: Client, gateway: EnrolledGateway) -> None:
    body = wire.encode(wire.StandingRequest(format=wire.FEED_FORMAT))

    answer, headers = _post(client, enrolment("")[0], gateway.row.code, "standing", body)

    assert answer.status_code == 401
    assert _verified(answer, headers, wire.Problem).slug == "signature"


@pytest.mark.parametrize("body", [b"null", b"x" * (LARGEST_BYTES + 1)], ids=["odd", "large"])
def test_closed_gateway_is_told_whatever_it_sends(
    client: Client, gateway: EnrolledGateway, now: datetime, body: bytes
) -> None:
    known, _headers = _post(client, gateway.signing_key, gateway.row.code, "report", body)
    actions.close_gateway(gateway=gateway.row, now=now, actor=OWNER)

    answer, headers = _post(client, gateway.signing_key, gateway.row.code, "report", body)

    assert known.status_code == 400
    assert _verified(answer, headers, wire.Problem).slug == "gateway-closed"


_DEEP = b'{"format":5,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"\xff", b'{"format":5}', _DEEP])
def test_body_that_is_no_report_is_refused(
    client: Client, gateway: EnrolledGateway, body: bytes
) -> None:
    answer, headers = _post(client, gateway.signing_key, gateway.row.code, "report", body)

    assert answer.status_code == 400
    assert _verified(answer, headers, wire.Problem).slug == "malformed"


@pytest.mark.parametrize("path", ["enrol", "report", "standing"])
@pytest.mark.parametrize("spoil", [lambda _h: {}, lambda h: {**h, wire.HEADER_NONCE: "é"}])
def test_unsigned_request_is_refused(
    client: Client,
    gateway: EnrolledGateway,
    path: str,
    spoil: Callable[[dict[str, str]], dict[str, str]],
) -> None:
    bodies = {
        "enrol": enrolment(gateway.token)[1],
        "report": report_of(),
        "standing": wire.StandingRequest(format=wire.FEED_FORMAT),
    }
    body = wire.encode(bodies[path])
    headers = signed_headers(
        gateway.signing_key,
        gateway.row.code,
        method="POST",
        target=f"/gateway/v1/{path}",
        body=body,
        at=clock.unix(clock.now()),
    )

    answer = client.post(
        f"/gateway/v1/{path}", body, content_type="application/json", headers=spoil(headers)
    )

    assert answer.status_code == 401
    assert wire.decode(answer.content, wire.Problem).slug == "signature"


@pytest.mark.django_db
def test_get_is_refused(client: Client) -> None:
    assert client.get("/gateway/v1/report").status_code == 400


@pytest.mark.parametrize(
    ("peer", "forwarded", "outward"),
    [
        ("203.0.113.7", "", "203.0.113.7"),
        ("203.0.113.7", "192.0.2.66", "203.0.113.7"),
        ("2001:db8::7", "", "2001:db8::7"),
        ("127.0.0.1", "192.0.2.66, 203.0.113.7", "203.0.113.7"),
        ("::1", "203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "", ""),
        ("127.0.0.1", "not an address", ""),
        ("", "203.0.113.7", ""),
    ],
)
def test_report_comes_from_where_this_hosts_own_proxy_saw_it(
    client: Client, gateway: EnrolledGateway, peer: str, forwarded: str, outward: str
) -> None:
    client.defaults.update({"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded})

    answer, _headers = _post(
        client, gateway.signing_key, gateway.row.code, "report", wire.encode(report_of())
    )

    assert answer.status_code == 200
    assert Gateway.objects.get().outward_address == outward
