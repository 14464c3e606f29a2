"""Schemas of the API, made from the views that pages and commands show."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from typing import Any, TypeVar, cast, get_type_hints

from ninja import Schema
from pydantic import Field, create_model
from pydantic.fields import FieldInfo

from mainstay.kernel.views import View

Made = TypeVar("Made", bound=Schema)


def of(view: type[View], *, without: Collection[str] = ()) -> Callable[[type[Made]], type[Made]]:
    """Give a schema the fields of a view with what their annotations tell; its own take their place, or come after."""

    def decorate(own: type[Made]) -> type[Made]:
        fields: dict[str, Any] = {}
        hints = get_type_hints(view, include_extras=True)
        for name in (one.name for one in dataclasses.fields(view)):  # type: ignore[arg-type]  # views are dataclasses
            told = getattr(hints[name], "__metadata__", ())
            if name not in without and not any(isinstance(one, FieldInfo) and one.exclude for one in told):
                texts = (one for one in told if isinstance(one, str))
                fields[name] = (hints[name], Field(description=next(texts, None)))
        for name, field in own.model_fields.items():
            if field.description is None and name in fields:
                field.description = fields[name][1].description
            fields[name] = (field.annotation, field)
        about: dict[str, Any] = {"__doc__": own.__doc__, "__module__": own.__module__}
        return cast("type[Made]", create_model(own.__name__, __base__=Schema, **about, **fields))

    return decorate
