"""A page and an operation."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from ninja import Router

from mainstay.accounts.api_doors import requires
from mainstay.accounts.doors import page

router = Router()


@router.get("/", url_name="drills_list")
@requires("drills:run")
def listed(request: HttpRequest) -> list[str]:
    """Every drill."""
    return ["fire"]


@page("drills:run")
def drill_list(request: HttpRequest) -> HttpResponse:
    return render(request, "web/base.html")


urlpatterns = [path("drills/", drill_list, name="drills")]
