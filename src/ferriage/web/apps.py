from django.apps import AppConfig

from ferriage.web.shared.logs import hide_addresses


class WebConfig(AppConfig):
    name = "ferriage.web"
    label = "web"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Keep addresses out of the log, whichever program serves the pages."""
        hide_addresses()
