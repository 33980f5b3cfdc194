from django.apps import AppConfig


class MembersConfig(AppConfig):
    name = "ferriage.members"
    label = "members"
    default_auto_field = "django.db.models.BigAutoField"
