from django.apps import AppConfig
from django.db.backends.signals import connection_created


class PlansConfig(AppConfig):
    name = "ferriage.plans"
    label = "plans"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Give SQLite's connections what this room's triggers call."""
        from ferriage.plans import inner

        connection_created.connect(inner.register, dispatch_uid="plans.inner")
