from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "mainstay.frames.web"
    label = "web"
