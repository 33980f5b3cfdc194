"""What the start page and `ferriage check` say of a shop that cannot sell yet."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import pytest
from django.conf import settings
from django.urls import reverse

from ferriage.web.backoffice import checklist

if TYPE_CHECKING:
    from django.test import Client


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, []), (6, list("abcdef")), (7, [*"abcdef", "and 1 more"])],
)
def test_what_is_cut_off_is_counted(count: int, shown: list[str]) -> None:
    assert checklist._first("abcdefg"[:count], checklist.MOST_MISSING) == shown


@pytest.mark.django_db
def test_command_for_an_own_device_names_the_settings_in_use_and_is_in_one_piece(
    olga: Client,
) -> None:
    page = html.unescape(olga.get(reverse("staff-start")).content.decode())

    command = f"ferriage --config {settings.FERRIAGE.path} device add NAME --mine"
    assert "On the shop's machine:</p><pre class=\"mt-2 scroll" in page
    assert re.findall(r"<pre [^>]*>(.*?)</pre>", page) == [command]
