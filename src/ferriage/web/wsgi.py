"""Django as a WSGI application, which `ferriage.web.asgi` serves."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ferriage.core.settings")

application = get_wsgi_application()
