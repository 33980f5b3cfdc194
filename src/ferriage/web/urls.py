"""Every address of the site: the shop, the back office, the gateways' API, and its health."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import include, path

from ferriage.web.api.callbacks import events
from ferriage.web.backoffice.views import outside, reseller
from ferriage.web.metrics.view import metrics
from ferriage.web.portal.views.entry import language
from ferriage.web.shared.favicon import favicon
from ferriage.web.shared.health import healthz

if TYPE_CHECKING:
    from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz, name="healthz"),
    path("metrics", metrics, name="metrics"),
    path("favicon.ico", favicon, name="favicon"),
    path("language/", language, name="set_language"),
    path("gateway/v1/", include("ferriage.web.api.urls")),
    path("pay/<slug:slug>/events", events, name="provider-events"),
    path("verify/<str:token>/", outside.answer, name="outside-link"),
    path("verify/<str:token>/evidence/<int:pk>/", outside.evidence, name="outside-evidence"),
    path("resellers/<str:token>/", reseller.page, name="reseller-page"),
    path("resellers/<str:token>/<int:year>-<int:number>/", reseller.month, name="reseller-month"),
    path("resellers/<str:token>/<int:year>-<int:number>.csv", reseller.as_csv, name="reseller-csv"),
    path("staff/", include("ferriage.web.backoffice.urls")),
    path("", include("ferriage.web.portal.urls")),
]

handler400 = "ferriage.web.shared.refusals.bad_request"
handler403 = "ferriage.web.shared.refusals.forbidden"
handler404 = "ferriage.web.shared.refusals.not_found"
handler500 = "ferriage.web.shared.refusals.server_error"
