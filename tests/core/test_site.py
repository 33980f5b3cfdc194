"""The one row of facts about this shop's database."""

from __future__ import annotations

import pytest

from ferriage.core import site
from ferriage.core.models import SiteState

pytestmark = pytest.mark.django_db


@pytest.fixture
def _no_shop_yet() -> None:
    SiteState.objects.all().delete()


@pytest.mark.usefixtures("_no_shop_yet")
def test_each_device_has_both_addresses() -> None:
    with pytest.raises(ValueError, match="fewer addresses"):
        site.prepare(inner4="10.64.0.0/10", inner6="fd7a:5eed::/112")

    assert not SiteState.objects.exists()


@pytest.mark.usefixtures("_no_shop_yet")
def test_row_that_is_there_stays_as_it_is() -> None:
    first = site.prepare(inner4="10.64.0.0/16", inner6="fd7a:5eed::/112")

    again = site.prepare(inner4="10.64.0.0/10", inner6="fd7a:5eed::/48")

    assert (again.epoch, again.inner4, again.inner6) == (
        *(first.epoch, "10.64.0.0/16", "fd7a:5eed::/112"),
    )
