from __future__ import annotations

from django.urls import path

from ferriage.web.api import views

app_name = "api"
urlpatterns = [
    path("enrol", views.enrol, name="enrol"),
    path("report", views.report, name="report"),
    path("standing", views.standing, name="standing"),
    path("agent/<str:digest>.tar.gz", views.agent, name="agent"),
]
