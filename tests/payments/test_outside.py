"""Calls to providers share few places, and a shop without Stripe's SDK starts all the same."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from ferriage.payments.providers import outside
from ferriage.payments.providers.contract import ProviderDown


def test_fifth_call_at_once_is_refused_soon_and_the_next_is_not() -> None:
    began = time.monotonic()
    with ExitStack() as held:
        for _place in range(outside.AT_ONCE):
            held.enter_context(outside.calling())

        with pytest.raises(ProviderDown), outside.calling():
            pass

    assert time.monotonic() - began < 2 * outside.PLACE_SECONDS
    with outside.calling():
        pass


def test_waiting_connecting_and_answering_take_five_seconds_at_most() -> None:
    longest = outside.PLACE_SECONDS + outside.CONNECT_SECONDS + outside.ANSWER_SECONDS

    assert longest <= 5


def test_shop_without_the_sdk_has_no_stripe() -> None:
    code = (
        "import sys; sys.modules['stripe'] = None; import django; django.setup();"
        "from ferriage.payments.providers import registry; print('stripe' in registry.KINDS)"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "settings_for_tests"}
    environment["PYTHONPATH"] = "tests"

    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.stdout.strip() == "False", done.stderr
