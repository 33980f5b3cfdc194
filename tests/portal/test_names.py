"""What is sold has one name where service and plan are called alike."""

from __future__ import annotations

import pytest

from ferriage.plans.models import Plan, Service
from ferriage.web.shared.tags import sold_as


@pytest.mark.parametrize(
    ("service", "plan", "shown"),
    [("Home", "Home", "Home"), ("Home", "Five devices", "Home · Five devices")],
)
def test_name_is_not_said_twice(service: str, plan: str, shown: str) -> None:
    assert sold_as(Plan(name=plan, service=Service(name=service))) == shown
