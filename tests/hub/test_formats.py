"""An agent of the release before this one, with this release's site and hub."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import format4
from ferriage import wire
from ferriage.core import clock
from ferriage.core.models import AuditEntry
from ferriage.fleet import actions, feed, site
from ferriage.fleet.models import Gateway, PoolCurrent, PoolGateway
from ferriage.wire import formats
from running_hub import Answer, send
from yard import OWNER, device, enrolment, signed_headers

if TYPE_CHECKING:
    from django.http import HttpResponse
    from django.test import Client

    from ferriage.fleet.models import Pool
    from running_hub import Asker
    from yard import Yard

QUOTA = wire.Quota(bytes=10_000, resets_at=1_800_000_000)


@pytest.fixture
def older(asker: Asker, pool: Pool) -> format4.Agent:
    return format4.Agent(
        asker.url,
        asker.gateway.row.code,
        asker.gateway.signing_key,
        asker.feed_key,
        pool.code,
    )


def _put(yard: Yard, pool: Pool, *records: wire.Device) -> None:
    feed.append(pool=pool, items=[feed.FeedPut(record) for record in records], now=yard.now)


def _post(client: Client, agent: format4.Agent, path: str, body: bytes) -> HttpResponse:
    target = f"/gateway/v1/{path}"
    headers = signed_headers(
        agent.signing_key,
        agent.code,
        method="POST",
        target=target,
        body=body,
        at=clock.unix(clock.now()),
    )
    return client.post(target, body, content_type="application/json", headers=headers)  # type: ignore[return-value]


@pytest.fixture
def quota_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the quota of a record be what this release's format adds to the one before."""
    monkeypatch.setitem(formats.ADDED, wire.Device, {"quota": wire.FEED_FORMAT})


# --- the contract itself


def _fields(kind: type[Any]) -> list[str]:
    return [field.name for field in msgspec.structs.fields(kind)]


@pytest.mark.parametrize("name", sorted(format4.ALL))
def test_what_a_structure_has_more_than_in_format_4_is_named(name: str) -> None:
    """Whoever adds a field names it in `formats.ADDED`, or an older agent would choke on it."""
    now, then = getattr(wire, name), format4.ALL[name]
    added = [field for field in _fields(now) if field not in _fields(then)]

    assert added == list(formats.ADDED.get(now, {}))
    assert [field for field in _fields(now) if field not in added] == _fields(then)
    assert all(not field.required for field in msgspec.structs.fields(now) if field.name in added)


def test_permits_get_no_new_fields_and_records_only_such_as_are_not_said_unused() -> None:
    assert not {wire.Permit, wire.Shop, wire.SignedPermit, wire.Begin} & formats.ADDED.keys()
    for name in formats.ADDED.get(wire.Device, {}):
        default = {field.name: field.default for field in msgspec.structs.fields(wire.Device)}
        assert default[name] is msgspec.UNSET


def test_report_in_the_older_format_is_one_that_an_older_site_reads() -> None:
    check = wire.Check(slug="clock", state="ok")
    answer = wire.ReportAnswer(
        fence=1, lease_seconds=60, acknowledged=1, pools=(), hub_url="http://h", probe_key="k"
    )
    report = wire.Report(
        format=4,
        instance="i",
        fence=0,
        sequence=1,
        boot_id="b",
        agent_version="1",
        backend="kernel",
        pools=(
            wire.PoolStatus(
                pool="p",
                epoch="e",
                rev=1,
                digest=wire.DIGEST_ZERO,
                permit_serial=1,
                line_open=True,
                peers=1,
                permit=wire.SignedPermit(payload="{}", signature="s"),
            ),
        ),
        usage=(),
        warnings=("w",),
        checks=(check,),
    )

    said = msgspec.json.decode(wire.encode_for(report, 4), type=format4.Report)
    answered = msgspec.json.decode(wire.encode_for(answer, 4), type=format4.ReportAnswer)

    assert (said.warnings, said.pools[0].pool, answered.hub_url) == (("w",), "p", "http://h")
    assert wire.decode(wire.encode_for(report, 5), wire.Report) == report
    assert wire.encode_for(report, 5) == wire.encode(report)


# --- an older agent


def test_older_agent_gets_changes_and_reports_them(
    older: format4.Agent, yard: Yard, pool: Pool, client: Client
) -> None:
    _put(yard, pool, device(1), device(2, quota=QUOTA))
    older.follow()
    _put(yard, pool, device(3))
    feed.append(pool=pool, items=[feed.FeedDel("dev_1")], now=yard.now)
    older.follow()

    answer = _post(client, older, "report", older.report(1))

    pool.refresh_from_db()
    assert answer.status_code == 200
    assert "probe_key" not in json.loads(answer.content)
    assert msgspec.json.decode(answer.content, type=format4.ReportAnswer).fence == 1
    assert sorted(older.devices) == ["dev_2", "dev_3"]
    assert (older.rev, older.digest) == (pool.revision, pool.digest)
    member = PoolGateway.objects.get()
    assert (member.applied_rev, member.refused) == (pool.revision, [])
    assert Gateway.objects.get().spoken == 4


@pytest.mark.usefixtures("quota_is_new")
def test_record_that_needs_the_newer_format_is_withheld_and_shown(
    older: format4.Agent, asker: Asker, yard: Yard, pool: Pool, client: Client
) -> None:
    _put(yard, pool, device(1), device(2, quota=QUOTA))
    older.follow()
    _put(yard, pool, device(1, quota=QUOTA), device(3))
    older.follow()

    _post(client, older, "report", older.report(1))

    assert sorted(older.devices) == ["dev_3"]
    refused = {row["device"]: row["reason"] for row in PoolGateway.objects.get().refused}
    assert sorted(refused) == ["dev_1", "dev_2"]
    assert "needs a newer agent" in refused["dev_1"]
    newest = wire.open_batch(asker.feed_key, asker.ask("snapshot", pool=pool.code).body)
    assert len([item for item in newest.items if isinstance(item, wire.Put)]) == 3


@pytest.mark.usefixtures("quota_is_new")
def test_record_that_needs_it_no_longer_is_delivered_again(
    older: format4.Agent, yard: Yard, pool: Pool
) -> None:
    _put(yard, pool, device(1, quota=QUOTA))
    older.follow()
    _put(yard, pool, device(1))
    older.follow()

    assert list(older.devices) == ["dev_1"]
    assert PoolCurrent.objects.get(subject="dev_1").needs == 0


@pytest.mark.usefixtures("quota_is_new")
def test_older_agent_far_behind_takes_a_snapshot(
    older: format4.Agent, yard: Yard, pool: Pool
) -> None:
    _put(yard, pool, device(1, quota=QUOTA))
    older.follow()
    _put(yard, pool, *(device(number) for number in range(2, 1102)))
    feed.append(pool=pool, items=[feed.FeedDel("dev_1")], now=yard.now)

    older.follow()

    assert len(older.devices) == 1100
    assert older.follow() == 204


def test_host_with_the_older_agent_is_enrolled(yard: Yard, client: Client) -> None:
    waiting = actions.create_gateway(
        name="beta", place="XD", endpoint_host="", endpoint_port=51820, now=yard.now, actor=OWNER
    )
    token = actions.new_enrol_token(gateway=waiting.gateway, now=clock.now(), actor=OWNER)
    key, request = enrolment(token, format=4)
    older = format4.Agent("", "", key, "", "")

    answer = _post(client, older, "enrol", wire.encode_for(request, 4))

    assert answer.status_code == 200
    assert msgspec.json.decode(answer.content, type=format4.EnrolAnswer).gateway


# --- more than one apart


@pytest.mark.parametrize("spoken", [3, 6])
def test_report_of_a_release_too_far_away_is_refused_and_shown(
    older: format4.Agent, client: Client, spoken: int
) -> None:
    body = json.dumps({**json.loads(older.report(1)), "format": spoken, "new": 1}).encode()

    answers = [_post(client, older, "report", body) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [400, 400]
    problem = msgspec.json.decode(answers[0].content, type=format4.Problem)
    assert problem.slug == "format"
    assert f"speaks format {spoken}, this site speaks 4 and 5" in problem.message
    assert Gateway.objects.get().spoken == spoken
    assert AuditEntry.objects.filter(action="gateway.format_refused").count() == 1


def test_formats_that_change_fill_no_audit_log(older: format4.Agent, client: Client) -> None:
    for spoken in range(6, 12):
        body = json.dumps({**json.loads(older.report(1)), "format": spoken}).encode()
        assert _post(client, older, "report", body).status_code == 400

    assert Gateway.objects.get().spoken == 11
    assert AuditEntry.objects.filter(action="gateway.format_refused").count() == 1


@pytest.mark.parametrize("spoken", [3, 6])
def test_hub_refuses_a_release_too_far_away(asker: Asker, pool: Pool, spoken: int) -> None:
    answer = asker.ask("snapshot", pool=pool.code, format=spoken)

    assert answer.status == 400
    assert wire.decode(answer.body, wire.Problem).slug == "format"


def test_hub_answers_who_names_no_format_in_the_oldest(older: format4.Agent, pool: Pool) -> None:
    target = f"/gateway/v1/snapshot?pool={pool.code}"
    headers = signed_headers(
        older.signing_key,
        older.code,
        method="GET",
        target=target,
        body=b"",
        at=clock.unix(clock.now()),
    )

    answer: Answer = send(older.hub_url, target, headers)

    assert json.loads(answer.body.split(b"\n")[0])["format"] == 4


def test_enrolment_of_a_release_too_far_away_leaves_the_token_unused(
    yard: Yard, client: Client
) -> None:
    made = actions.create_gateway(
        name="beta", place="XD", endpoint_host="", endpoint_port=51820, now=yard.now, actor=OWNER
    )
    token = actions.new_enrol_token(gateway=made.gateway, now=clock.now(), actor=OWNER)
    key, request = enrolment(token, format=6)
    newer = format4.Agent("", "", key, "", "")

    refused = _post(client, newer, "enrol", wire.encode(request))
    taken = _post(client, newer, "enrol", wire.encode(msgspec.structs.replace(request, format=5)))

    assert (refused.status_code, json.loads(refused.content)["slug"]) == (400, "format")
    assert taken.status_code == 200
    assert site.site_url() in taken.content.decode()
