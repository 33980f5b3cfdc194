"""What `ferriage site` serves: Django, behind a front that threads do not wait in."""

from __future__ import annotations

from typing import Final

from ferriage.web.front import Front
from ferriage.web.wsgi import application as django

THREADS: Final = 4
"""In each process: two slow pages must not stop the shop."""

application = Front(django, threads=THREADS)
