"""Pauses after failures: longer each time, within bounds, and short again after a success."""

from __future__ import annotations

from itertools import pairwise

from ferriage.agent.backoff import Backoff, Pace


def test_pauses_double_up_to_the_longest_and_no_two_gateways_have_the_same() -> None:
    backoff = Backoff(0.5, 4)

    pauses = [backoff.pause() for _ in range(6)]

    limits = [0.5, 1, 2, 4, 4, 4]
    assert all(limit / 2 <= pause <= limit for pause, limit in zip(pauses, limits, strict=True))
    assert len({Backoff(0.5, 4).pause() for _ in range(50)}) > 40


def test_pauses_are_short_again_after_a_success() -> None:
    backoff = Backoff(0.5, 4)
    for _ in range(5):
        backoff.pause()

    backoff.succeeded()

    assert backoff.pause() <= 0.5


def test_gateways_that_reported_together_do_not_stay_in_step() -> None:
    waits = [Pace(10).wait() for _ in range(200)]

    assert all(8 <= wait <= 10 for wait in waits)
    assert len(set(waits)) == 200


def test_reports_become_seldom_while_the_site_does_not_answer_and_at_once_again_after() -> None:
    pace, mark, sent = Pace(10), 1000.0, []

    while mark < 1600:
        if pace.may(mark):
            sent.append(mark)
            pace.unanswered(mark)
        mark += 1
    assert 10 < len(sent) < 25
    assert max(later - now for now, later in pairwise(sent)) <= 61

    pace.answered()
    assert pace.may(sent[-1])
