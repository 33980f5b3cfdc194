from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

import feed
from ferriage import config, wire
from ferriage.agent import identity
from ferriage.agent.errors import AgentError, AlreadyRunning, NotEnrolled
from ferriage.agent.lease import lock_state
from ferriage.agent.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def site(unused_port: int) -> Iterator[feed.Site]:
    made = feed.Site(f"http://127.0.0.1:{unused_port}", feed.ASSIGNMENT)
    thread = threading.Thread(target=made.serve, args=("127.0.0.1", unused_port))
    thread.start()
    made.wait_started()
    yield made
    made.stop()
    thread.join(5)


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def settings(tmp_path: Path) -> config.Config:
    return config.Config(path=tmp_path / "ferriage.toml")


def _enrol(settings: config.Config, token: str) -> str:
    return identity.enrol(settings, token=token, endpoint_host="gw.example", endpoint_port=51820)


def test_enrolment_pins_the_site_and_keeps_private_keys_private(
    site: feed.Site, settings: config.Config
) -> None:
    gateway = _enrol(settings, site.token())

    own = identity.load(settings)
    assert gateway == own.gateway == "gw_0000000000000001"
    assert (own.permit_key, own.feed_key) == (
        wire.public_key(site.permit_key),
        wire.public_key(site.feed_key),
    )
    assert (wire.public_key(own.signing_key), identity.wireguard_public(own.wireguard_key)) == (
        site.gateway_key,
        site.wireguard_key,
    )
    state = settings.path.parent / "agent"
    assert {path.stat().st_mode & 0o077 for path in state.iterdir() if path.suffix != "-shm"} == {0}


def test_wrong_clock_heals_at_enrolment(site: feed.Site, settings: config.Config) -> None:
    site.clock_offset = 7 * 86400

    _enrol(settings, site.token())

    store = Store(settings.path.parent / "agent" / "state.sqlite3")
    assert abs(store.clock() - site.now()) < 2
    store.close()


def test_site_with_another_permit_key_is_not_the_tokens_site(
    site: feed.Site, settings: config.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = site.token()
    monkeypatch.setattr(site, "token", lambda: token)
    site.permit_key = wire.new_private_key()

    with pytest.raises(AgentError, match="not the one that made this token"):
        _enrol(settings, token)

    with pytest.raises(NotEnrolled):
        identity.load(settings)


def test_answer_that_the_permit_key_did_not_sign_enrols_nobody(
    site: feed.Site, settings: config.Config
) -> None:
    site.permit_key = wire.new_private_key()  # the server goes on signing with the former one

    with pytest.raises(AgentError, match="is not signed by the site"):
        _enrol(settings, site.token())

    with pytest.raises(NotEnrolled):
        identity.load(settings)


def test_used_token_says_so(site: feed.Site, settings: config.Config, tmp_path: Path) -> None:
    _enrol(settings, site.token())
    (tmp_path / "other").mkdir()
    other = config.Config(path=tmp_path / "other" / "ferriage.toml")

    with pytest.raises(AgentError, match="This token was used or has lapsed"):
        _enrol(other, site.token())


def test_enrolled_host_is_not_enrolled_again(site: feed.Site, settings: config.Config) -> None:
    _enrol(settings, site.token())

    with pytest.raises(AgentError, match="This host is enrolled as gw_0000000000000001"):
        _enrol(settings, site.token())


@pytest.mark.parametrize(
    "token", ["", "hello", "fe1.aaaa.b", "fe1.%%%.secret." + "0" * 32, "fe1.aGk.s." + "0" * 32]
)
def test_text_that_is_no_token_is_refused_without_a_call(
    token: str, settings: config.Config
) -> None:
    with pytest.raises(AgentError, match="token"):
        _enrol(settings, token)


def test_copied_state_directory_is_another_instance(
    site: feed.Site, settings: config.Config, tmp_path: Path
) -> None:
    import shutil

    _enrol(settings, site.token())
    shutil.copytree(tmp_path / "agent", tmp_path / "other" / "agent")
    copy = config.Config(path=tmp_path / "other" / "ferriage.toml")

    assert identity.load(copy).instance != identity.load(settings).instance
    assert identity.load(settings).instance == identity.load(settings).instance


def test_state_directory_has_one_holder(tmp_path: Path) -> None:
    held = lock_state(tmp_path)

    with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"):
        lock_state(tmp_path)

    os.close(held)
    os.close(lock_state(tmp_path))


def test_agent_runs_without_django() -> None:
    script = (
        "import sys; import ferriage.agent.run, ferriage.agent.hold, ferriage.agent.identity;"
        "sys.exit(any(name.split('.')[0] == 'django' for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_agent_that_cannot_run_says_why_once(settings: config.Config) -> None:
    code = (
        "import sys; from pathlib import Path; from ferriage.agent import run;"
        "from ferriage.config import Config; sys.exit(run.main(Config(path=Path(sys.argv[1]))))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, settings.path], capture_output=True, text=True, check=False
    )

    assert done.returncode == NotEnrolled.exit_code
    assert done.stderr.count("This host is not enrolled.") == 1
