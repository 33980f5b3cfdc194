"""What `ferriage site` serves: Django, behind a front that threads do not wait in."""

from __future__ import annotations

from typing import Final

from ferriage.web.front import Front
from ferriage.web.wsgi import application as django

THREADS: Final = 4
"""In each process: two slow pages must not stop the shop."""

LARGEST_UPLOAD: Final = 21 * 1024 * 1024
"""The largest file that staff hand in, evidence of 20 MiB, and the form around it, in bytes."""

application = Front(django, threads=THREADS, uploads={"/staff/": LARGEST_UPLOAD})
