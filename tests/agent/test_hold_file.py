from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import feed
from ferriage.agent import holdfile
from ferriage.agent.feed import Pool
from ferriage.agent.holdfile import Reader, Writer
from ferriage.config import AgentConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ferriage import wire

NOW = 1_800_000_000
_READERS: list[Reader] = []


def _device(number: int, hold_in: int) -> wire.Device:
    key = base64.b64encode(number.to_bytes(32, "big")).decode()
    return feed.device(number, public_key=key, hold_at=NOW + hold_in)


def _put(pool: Pool, *devices: wire.Device) -> dict[str, wire.Device]:
    before = {d.id: pool.devices[d.id] for d in devices if d.id in pool.devices}
    for device in devices:
        pool._leave(device.id)
        pool._join(device)
    return before


def _expected(pool: Pool) -> dict[tuple[str, str], tuple[int, str]]:
    return {
        ("fer0", address): (device.hold_at, device.hold_reason)
        for device in pool.usable()
        for address in (device.ip4, device.ip6)
    }


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _READERS:
        _READERS.pop().close()


def _reader(config: AgentConfig) -> Reader:
    _READERS.append(Reader(config))
    return _READERS[-1]


def _read(reader: Reader) -> dict[tuple[str, str], tuple[int, str]]:
    reader.look()
    assert reader.content is not None
    return {key: (held.hold_at, held.reason) for key, held in reader.content.devices.items()}


changes = st.lists(
    st.tuples(st.sampled_from(["put", "del", "whole"]), st.integers(1, 5), st.integers(-9, 9)),
    max_size=30,
)


@given(changes)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_reader_knows_what_the_writer_told_after_every_change(
    tmp_path: Path, changes: list[tuple[str, int, int]]
) -> None:
    config = AgentConfig(run_dir=str(tmp_path), interface_prefix="fer")
    pool, writer, reader = Pool(feed.ASSIGNMENT), Writer(config), _reader(config)
    writer.write([pool], site_offset=0)
    for kind, number, hold_in in changes:
        device = _device(number, hold_in)
        if kind == "whole":
            writer.write([pool], site_offset=number)
        elif kind == "put":
            before = _put(pool, device)
            writer.change([pool], pool, before, [device.id], site_offset=0)
        else:
            before = {d.id: d for d in pool.devices.values() if d.id == device.id}
            pool._leave(device.id)
            writer.change([pool], pool, before, [], site_offset=0)
        assert _read(reader) == _expected(pool)
    assert _read(_reader(config)) == _expected(pool)


def test_change_appends_and_many_changes_end_in_a_short_file_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holdfile, "_SPARE_LINES", 10)
    config = AgentConfig(run_dir=str(tmp_path))
    pool, writer = Pool(feed.ASSIGNMENT), Writer(config)
    _put(pool, _device(1, 0))
    writer.write([pool], site_offset=0)
    file = holdfile.path(config)
    lengths, reader = [], _reader(config)

    for second in range(20):
        before = _put(pool, _device(1, second))
        writer.change([pool], pool, before, [_device(1, 0).id], site_offset=0)
        lengths.append(len(file.read_bytes().splitlines()))
        assert _read(reader) == _expected(pool)  # also where an old inode number is used again

    assert lengths[:3] == [5, 7, 9]
    assert max(lengths) <= 15


def test_line_that_is_not_whole_yet_waits(tmp_path: Path) -> None:
    config = AgentConfig(run_dir=str(tmp_path))
    pool, writer, reader = Pool(feed.ASSIGNMENT), Writer(config), _reader(config)
    writer.write([pool], site_offset=0)
    entry = msgspec.json.encode(
        holdfile.Entry("fer0", "10.64.0.9", holdfile.HeldDevice(NOW, "term", "en"))
    )

    with holdfile.path(config).open("ab") as file:
        file.write(entry[:10])
        file.flush()
        half = _read(reader)
        file.write(entry[10:] + b"\n")

    assert half == {}
    assert _read(reader) == {("fer0", "10.64.0.9"): (NOW, "term")}


def test_head_is_told_when_it_changes_and_a_lost_file_is_written_again(tmp_path: Path) -> None:
    config = AgentConfig(run_dir=str(tmp_path))
    pool, writer, reader = Pool(feed.ASSIGNMENT), Writer(config), _reader(config)
    _put(pool, _device(1, 0))
    writer.write([pool], site_offset=5)
    size = holdfile.path(config).stat().st_size

    writer.refresh([pool], site_offset=5)
    assert holdfile.path(config).stat().st_size == size
    writer.refresh([pool], site_offset=6)
    reader.look()
    assert reader.content is not None
    assert reader.content.head.site_offset == 6
    holdfile.path(config).unlink()
    writer.refresh([pool], site_offset=6)

    assert _read(reader) == _expected(pool)
