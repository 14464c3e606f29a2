from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "mainstay.entry.web"
    label = "web"
