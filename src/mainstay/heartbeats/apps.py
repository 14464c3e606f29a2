from django.apps import AppConfig


class HeartbeatsConfig(AppConfig):
    name = "mainstay.heartbeats"
    label = "heartbeats"
    default_auto_field = "django.db.models.BigAutoField"
