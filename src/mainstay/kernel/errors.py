"""Every error that Mainstay raises on purpose.

    MainstayError
    ├── UserError           the request is at fault; change it and try again
    │   ├── InvalidInput    carries Diagnostics: every mistake with its place
    │   ├── NotFound
    │   ├── Forbidden       the actor lacks a scope
    │   ├── Conflict        somebody else changed or owns the thing
    │   │   └── StalePlan   the resources changed since the plan was made; plan again
    │   └── TooLarge        a bound on size, depth or count was passed
    ├── RemoteError         another system is at fault
    │   ├── Refused         it said no for good; repeating is useless
    │   └── Unavailable     worth a retry; repeat with backoff
    └── InternalError       we are at fault
        ├── StoreBusy       a lock or a full buffer; repeat shortly
        └── Broken          data does not match what we wrote

Each class has a stable `code` for programs, says who is to blame and whether a
repeat can help. The message is one sentence for a person; `hint` says what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from mainstay.kernel.diagnostics import Diagnostics

Blame = Literal["user", "remote", "us"]


class MainstayError(Exception):
    """Root of the tree; never raised itself."""

    code: ClassVar[str] = "error"
    blame: ClassVar[Blame] = "us"
    retryable: ClassVar[bool] = False
    status: ClassVar[int] = 500  # the HTTP status that the web doors answer with

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UserError(MainstayError):
    code = "user_error"
    blame = "user"
    status = 400


class InvalidInput(UserError):
    """Declared input has mistakes; `diagnostics` holds all of them."""

    code = "invalid_input"
    status = 422

    def __init__(self, diagnostics: Diagnostics) -> None:
        super().__init__(diagnostics.summary())
        self.diagnostics = diagnostics


class NotFound(UserError):
    code = "not_found"
    status = 404


class Forbidden(UserError):
    code = "forbidden"
    status = 403


class Conflict(UserError):
    code = "conflict"
    status = 409


class StalePlan(Conflict):
    code = "stale_plan"
    retryable = True


class TooLarge(UserError):
    code = "too_large"
    status = 413


class RemoteError(MainstayError):
    code = "remote_error"
    blame = "remote"
    status = 502


class Refused(RemoteError):
    """`gone`: ids of what was addressed and is there no more."""

    code = "refused"

    def __init__(self, message: str, *, hint: str = "", gone: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.gone = gone


class Unavailable(RemoteError):
    """`retry_after`: seconds that the other side asked to wait, if it did."""

    code = "unavailable"
    retryable = True
    status = 503

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class InternalError(MainstayError):
    code = "internal_error"


class StoreBusy(InternalError):
    code = "store_busy"
    retryable = True
    status = 503


class Broken(InternalError):
    code = "broken"
