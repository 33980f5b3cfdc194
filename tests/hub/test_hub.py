from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import connection

from ferriage import wire
from ferriage.core.models import SiteState
from ferriage.fleet import actions, feed, tasks
from ferriage.fleet.models import Gateway, Pool, PoolChange
from ferriage.hub import server
from ferriage.hub.errors import DatabaseAway
from ferriage.hub.sql import Reader, Site
from running_hub import Asker, Replica, free_port, running_hub, send
from support import eventually
from yard import OWNER, Yard, device

if TYPE_CHECKING:
    from ferriage.config import Config


def _puts(*numbers: int) -> list[feed.FeedPut]:
    return [feed.FeedPut(device(number)) for number in numbers]


def _rev(pool: Pool) -> int:
    pool.refresh_from_db()
    return pool.revision


def _opened(asker: Asker, body: bytes) -> wire.Batch:
    return wire.open_batch(asker.feed_key, body)


def test_snapshot_begins_with_the_permit(asker: Asker, yard: Yard, pool: Pool) -> None:
    feed.append(pool=pool, items=[*_puts(1, 2, 3), feed.FeedDel("dev_2")], now=yard.now)

    batch = asker.snapshot(pool.code)

    kinds = [type(item).__name__ for item in batch.items]
    assert kinds == ["PermitItem", "Put", "Put", "Del"]
    assert (batch.begin.epoch, batch.begin.rev) == ("e1", _rev(pool))
    Replica().apply(batch)


def test_snapshot_names_its_revision(asker: Asker, pool: Pool) -> None:
    answer = asker.ask("snapshot", pool=pool.code)

    assert answer.headers["ETag"] == f'"e1-{_rev(pool)}-{wire.FEED_FORMAT}"'


def test_watch_returns_what_follows(asker: Asker, yard: Yard, pool: Pool) -> None:
    after = _rev(pool)
    feed.append(pool=pool, items=_puts(1, 2), now=yard.now)

    answer = asker.watch(pool.code, after=after)

    batch = _opened(asker, answer.body)
    assert (batch.begin.batch, batch.begin.after, batch.begin.rev) == ("delta", after, after + 2)
    assert [item.rev for item in batch.items] == [after + 1, after + 2]


def test_watch_ends_empty_after_the_wait(asker: Asker, pool: Pool) -> None:
    begun = time.monotonic()

    answer = asker.watch(pool.code, after=_rev(pool), wait=1)

    assert (answer.status, answer.body) == (204, b"")
    assert 0.9 < time.monotonic() - begun < 5


def test_waiting_gateway_hears_of_a_change_at_once(asker: Asker, yard: Yard, pool: Pool) -> None:
    after, seen = _rev(pool), []

    def wait() -> None:
        answer = asker.watch(pool.code, after=after, wait=30)
        seen.append((time.monotonic(), _opened(asker, answer.body)))

    thread = threading.Thread(target=wait)
    thread.start()
    # Let the request arrive; whether it waits already or not, the answer must come.
    thread.join(0.3)
    feed.append(pool=pool, items=_puts(1), now=yard.now)
    committed = time.monotonic()
    thread.join(10)

    heard, batch = seen[0]
    assert heard - committed < 1
    assert batch.begin.rev == after + 1


def test_delta_ends_after_a_thousand_items(asker: Asker, yard: Yard, pool: Pool) -> None:
    feed.append(pool=pool, items=_puts(*range(1200)), now=yard.now)
    replica = Replica(epoch="e1")

    sizes = []
    while (answer := asker.watch(pool.code, after=replica.rev)).status == 200:
        batch = _opened(asker, answer.body)
        replica.apply(batch)
        sizes.append(len(batch.items))

    assert sizes[0] == wire.WATCH_LIMIT
    assert replica.digest() == Pool.objects.get().digest
    assert len(replica.devices) == 1200


def test_forgotten_changes_are_answered_compacted(asker: Asker, yard: Yard, pool: Pool) -> None:
    feed.append(pool=pool, items=_puts(1), now=yard.now)
    tasks.prune(yard.now + timedelta(days=8))

    answer = asker.watch(pool.code, after=0)

    assert (answer.status, answer.problem()) == (410, "compacted")


def test_log_with_a_hole_is_answered_compacted(asker: Asker, yard: Yard, pool: Pool) -> None:
    feed.append(pool=pool, items=_puts(1, 2, 3), now=yard.now)
    PoolChange.objects.filter(rev=_rev(pool) - 1).delete()

    answer = asker.watch(pool.code, after=_rev(pool) - 3)

    assert (answer.status, answer.problem()) == (410, "compacted")


def test_other_history_is_answered_epoch(asker: Asker, pool: Pool) -> None:
    answer = asker.watch(pool.code, epoch="other", after=1)

    assert (answer.status, answer.problem()) == (410, "epoch")


def test_gateway_ahead_of_the_database_is_told_so(asker: Asker, pool: Pool) -> None:
    answer = asker.watch(pool.code, after=_rev(pool) + 1)

    assert (answer.status, answer.problem()) == (410, "ahead")


def test_waiting_gateway_hears_of_a_new_epoch(asker: Asker, pool: Pool) -> None:
    after, seen = _rev(pool), []
    thread = threading.Thread(
        target=lambda: seen.append(asker.watch(pool.code, after=after, wait=30))
    )
    thread.start()
    thread.join(0.3)
    SiteState.objects.update(epoch="e2")
    thread.join(10)

    assert (seen[0].status, seen[0].problem()) == (410, "epoch")


def test_permit_travels_in_the_feed(asker: Asker, yard: Yard, pool: Pool) -> None:
    after = _rev(pool)

    actions.hold_line(line=pool.line, reason="Stop", now=yard.now, actor=OWNER)

    batch = _opened(asker, asker.watch(pool.code, after=after).body)
    (item,) = batch.items
    assert isinstance(item, wire.PermitItem)
    assert wire.decode(item.permit.payload, wire.Permit).state == "held"


# --- who may ask ------------------------------------------------------------------------------


def test_gateways_never_see_each_others_pools(asker: Asker, yard: Yard, pool: Pool) -> None:
    other = yard.open_line("other").pools.get()
    beta = Asker(asker.url, yard.gateway(other.line, name="beta"), asker.feed_key)

    assert asker.snapshot(pool.code).begin.pool == pool.code
    assert beta.snapshot(other.code).begin.pool == other.code
    for stranger, foreign in ((asker, other), (beta, pool)):
        for path in ("snapshot", "watch"):
            answer = stranger.ask(path, pool=foreign.code, epoch="e1", after=0, wait=0)
            assert (answer.status, answer.problem()) == (404, "not-found")


def test_gateway_cannot_sign_for_another(asker: Asker, yard: Yard, pool: Pool) -> None:
    beta = yard.gateway(name="beta")
    thief = replace(asker, gateway=replace(asker.gateway, signing_key=beta.signing_key))

    answer = thief.ask("snapshot", pool=pool.code)

    assert (answer.status, answer.problem()) == (401, "signature")


def test_request_repeated_byte_for_byte_is_refused(asker: Asker, pool: Pool) -> None:
    target = f"/gateway/v1/snapshot?pool={pool.code}"
    headers = asker.headers(target)

    first = asker.verified(send(asker.url, target, headers), headers)
    second = asker.verified(send(asker.url, target, headers), headers)

    assert first.status == 200
    assert (second.status, second.problem()) == (401, "replay")


def test_signature_covers_the_question(asker: Asker, pool: Pool) -> None:
    headers = asker.headers(f"/gateway/v1/snapshot?pool={pool.code}")

    answer = send(asker.url, f"/gateway/v1/snapshot?pool={pool.code}&x=1", headers)

    assert (answer.status, answer.problem()) == (401, "signature")


@pytest.mark.parametrize("late", [310, -310])
def test_wrong_clock_is_told_the_right_time(asker: Asker, pool: Pool, late: int) -> None:
    answer = replace(asker, late=late).ask("snapshot", pool=pool.code)

    assert (answer.status, answer.problem()) == (401, "clock")
    assert abs(int(answer.headers[wire.HEADER_NOW]) - time.time()) < 3


def test_closed_gateway_is_refused_at_its_next_request(
    asker: Asker, yard: Yard, pool: Pool
) -> None:
    actions.close_gateway(gateway=asker.gateway.row, now=yard.now, actor=OWNER)

    answer = asker.ask("snapshot", pool=pool.code)

    assert (answer.status, answer.problem()) == (409, "gateway-closed")


def test_gateway_that_never_enrolled_is_a_stranger_once_it_is_closed(
    asker: Asker, yard: Yard, pool: Pool
) -> None:
    Gateway.objects.update(signing_key="")
    actions.close_gateway(gateway=asker.gateway.row, now=yard.now, actor=OWNER)

    assert asker.ask("snapshot", pool=pool.code).status == 401


def test_gateway_closed_while_it_waits_is_told_and_gets_nothing_more(
    asker: Asker, yard: Yard, pool: Pool
) -> None:
    after, seen = _rev(pool), []
    thread = threading.Thread(
        target=lambda: seen.append(asker.watch(pool.code, after=after, wait=30))
    )
    thread.start()
    thread.join(0.3)
    actions.close_gateway(gateway=asker.gateway.row, now=yard.now, actor=OWNER)
    thread.join(2)

    assert (seen[0].status, seen[0].problem()) == (409, "gateway-closed")


@pytest.mark.parametrize("query", [{"after": "x"}, {"after": "-1"}, {"after": "9" * 30}, {}])
def test_malformed_question_is_refused(asker: Asker, pool: Pool, query: dict[str, str]) -> None:
    answer = asker.ask("watch", pool=pool.code, epoch="e1", wait=0, **query)

    assert (answer.status, answer.problem()) == (400, "malformed")


def test_unknown_address_is_answered_signed(asker: Asker) -> None:
    assert asker.ask("enrol").status == 404


def test_unsigned_request_is_refused(url: str) -> None:
    answer = send(url, "/gateway/v1/snapshot?pool=x", {})

    assert (answer.status, answer.problem()) == (401, "signature")
    assert wire.HEADER_SIGNATURE in answer.headers


# --- starting ---------------------------------------------------------------------------------


def _start(config: Config) -> int:
    address = f"127.0.0.1:{free_port()}"
    return server.main(replace(config, hub=replace(config.hub, listen=address)))


def test_hub_refuses_another_feed_format(
    own_database: Config,
    yard: Yard,  # noqa: ARG001 -- makes the shop
    capsys: pytest.CaptureFixture[str],
) -> None:
    SiteState.objects.update(feed_format=99)

    assert _start(own_database) == 1
    assert "feed format 99" in capsys.readouterr().err


def test_hub_refuses_a_database_without_a_shop(
    own_database: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _start(own_database) == 1
    assert "ferriage init" in capsys.readouterr().err


def test_hub_names_an_address_that_is_taken(
    url: str, own_database: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    listen = url.removeprefix("http://")
    config = replace(own_database, hub=replace(own_database.hub, listen=listen))

    assert server.main(config) == 1
    assert listen in capsys.readouterr().err


def test_hub_started_again_serves_on(
    own_database: Config, asker: Asker, yard: Yard, pool: Pool
) -> None:
    after = _rev(pool)
    feed.append(pool=pool, items=_puts(1), now=yard.now)

    with running_hub(own_database) as address:
        answer = replace(asker, url=address).watch(pool.code, after=after)

    assert _opened(asker, answer.body).begin.rev == after + 1


def test_health_says_ok(url: str) -> None:
    assert send(url, "/healthz", {}).body == b"ok\n"


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="a file does not hang up")
def test_hub_connects_anew_after_the_server_hung_up(asker: Asker, yard: Yard, pool: Pool) -> None:
    after = _rev(pool)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    first = asker.watch(pool.code, after=after)
    feed.append(pool=pool, items=_puts(1), now=yard.now)
    second = asker.watch(pool.code, after=after, wait=10)

    assert (first.status, first.problem()) == (503, "outside")
    assert _opened(asker, second.body).begin.rev == after + 1


def test_gateway_hears_of_a_change_by_the_doorbell_alone(
    own_database: Config, asker: Asker, yard: Yard, pool: Pool
) -> None:
    after, seen = _rev(pool), []

    def wait() -> None:
        answer = deaf.watch(pool.code, after=after, wait=20)
        seen.append(_opened(asker, answer.body).begin.rev)

    # Revisions are read again after a minute only: what is heard sooner was rung.
    with running_hub(own_database, reread_seconds=60) as address:
        deaf = replace(asker, url=address)
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(0.5)
        feed.append(pool=pool, items=_puts(1), now=yard.now)
        thread.join(5)
        heard = list(seen)
        feed.append(pool=pool, items=_puts(2), now=yard.now)  # lets the watching thread end

    assert heard == [after + 1]


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="a file does not hang up")
def test_waiting_gateway_is_not_told_that_the_server_hung_up(
    asker: Asker, yard: Yard, pool: Pool
) -> None:
    after = _rev(pool)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    feed.append(pool=pool, items=_puts(1), now=yard.now)

    answer = asker.watch(pool.code, after=after, wait=10)

    assert _opened(asker, answer.body).begin.rev == after + 1


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="a server's database does not move")
def test_reader_opens_the_file_once_it_is_there(
    own_database: Config,
    yard: Yard,  # noqa: ARG001 -- makes the shop
) -> None:
    path = own_database.database_path
    reader = Reader(own_database)
    path.rename(path.with_suffix(".away"))

    with pytest.raises(DatabaseAway):
        reader.site()
    path.with_suffix(".away").rename(path)

    assert reader.site() == Site("e1", wire.FEED_FORMAT)
    reader.close()


def test_hub_ends_in_order_when_told_to(
    own_database: Config,
    yard: Yard,  # noqa: ARG001 -- makes the shop
) -> None:
    address = f"127.0.0.1:{free_port()}"
    code = (
        "import sys; from pathlib import Path; from ferriage import config; "
        "from ferriage.hub.server import main; "
        "sys.exit(main(config.load(Path(sys.argv[1]))))"
    )
    environment = {
        **os.environ,
        "FERRIAGE_SITE_DATA_DIR": str(own_database.data_dir),
        "FERRIAGE_DATABASE_URL": own_database.database.url,
        "FERRIAGE_HUB_LISTEN": address,
    }
    command = [sys.executable, "-c", code, str(own_database.path)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        url = f"http://{address}"
        eventually(lambda: send(url, "/healthz", {}).status == 200, within=10)
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
