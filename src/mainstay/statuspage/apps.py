from django.apps import AppConfig


class StatuspageConfig(AppConfig):
    name = "mainstay.statuspage"
    label = "statuspage"
