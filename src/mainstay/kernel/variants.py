"""Documents whose key says which model they follow: a monitor has `http:` or `tcp:`, a channel `webhook:` or `email:`.

Chosen here and not by a pydantic union, which would report a mistake once for every model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from mainstay.kernel.diagnostics import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from mainstay.kernel.resource import Spec


_UNKNOWN_TOLD = 100  # keys; a document made of nothing else is no mistake that a person made


def validate_variant(what: str, document: Any, models: Mapping[str, type[Spec]], shared: type[Spec]) -> Spec:
    """The spec by the one model whose key is in the document.

    Without exactly one such key: a ValidationError with that and every mistake in the `shared` part.
    """
    if not isinstance(document, dict):
        first = next(iter(models))
        text = f"a {what} must be a mapping, such as {{{first}: ...}}"
        reason = PydanticCustomError("variant", "{text}", {"text": text})
        error: InitErrorDetails = {
            "type": reason if isinstance(document, str) else "dict_type",
            "loc": (),
            "input": document,
        }
        raise ValidationError.from_exception_data(what, [error])
    present = [name for name in models if name in document]
    if len(present) == 1:
        return models[present[0]].model_validate(document)
    known = {*shared.model_fields, *models, "expect"}
    unknown = [key for key in document if key not in known][:_UNKNOWN_TOLD]
    errors: list[InitErrorDetails] = [
        {"type": "extra_forbidden", "loc": (key,), "input": document[key]} for key in unknown
    ]
    if present or not any(did_you_mean(str(key), models) for key in unknown):
        errors.insert(0, {"type": _not_one(what, present, models), "loc": (), "input": document})
    raise ValidationError.from_exception_data(what, errors + _shared_errors(document, shared))


def _not_one(what: str, present: list[str], models: Mapping[str, type[Spec]]) -> PydanticCustomError:
    names = ", ".join(f"`{name}`" for name in present)
    found = f"this one has {names}" if present else "this one has none of them"
    known = ", ".join(f"`{name}`" for name in models)
    return PydanticCustomError("variant", "{text}", {"text": f"a {what} needs exactly one of {known}; {found}"})


def _shared_errors(document: dict[Any, Any], shared: type[Spec]) -> list[InitErrorDetails]:
    try:
        shared.model_validate({key: value for key, value in document.items() if key in shared.model_fields})
    except ValidationError as error:
        return [_again(detail) for detail in error.errors(include_url=False)]
    return []


def _again(detail: Any) -> InitErrorDetails:
    """An error as it was reported, in the form in which it can be raised again."""
    if detail["type"] == "value_error":
        reason = PydanticCustomError("value_error", "{text}", {"text": str(detail["ctx"]["error"])})
        return {"type": reason, "loc": detail["loc"], "input": detail["input"]}
    return {"type": detail["type"], "loc": detail["loc"], "input": detail["input"], "ctx": detail.get("ctx", {})}


def variant_in_words(document: Mapping[str, Any], shared: Container[str]) -> str:
    """The key that chooses the kind, with the first thing that is said of it; `shared` are the keys that all have."""
    key = next((key for key in document if key not in shared), "")
    value = document.get(key)
    if isinstance(value, dict):
        value = next((inner for inner in value.values() if isinstance(inner, str | int)), "")
    return f"{key} {value if isinstance(value, str | int) else ''}".strip()
