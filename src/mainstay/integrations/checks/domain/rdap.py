"""Ask by RDAP: which server knows a name (RFC 9224), the question (RFC 9082), the answer (RFC 9083)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from mainstay.integrations.checks.domain.registration import Registration, instant
from mainstay.integrations.checks.http.request import plan_request
from mainstay.integrations.checks.http.run import fetch
from mainstay.integrations.checks.progress import excerpt
from mainstay.kernel.probing import CheckFault, CheckOrder

if TYPE_CHECKING:
    from mainstay.integrations.checks.http.expectations import Answer
    from mainstay.integrations.checks.progress import Steps
    from mainstay.kernel.ports import CheckContext

_READ = 1024 * 1024  # bytes; the list has some 100 kB
_LIST_FRESH = 86_400.0  # seconds
_LISTS_KEPT = 8
_NOT_FOUND = 404
_ENTITIES_READ = 50


class Lists:
    """The lists of servers that were read, by their URL, for a day."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, dict[str, str]]] = {}

    def get(self, url: str) -> dict[str, str] | None:
        until, found = self._known.get(url, (0.0, {}))
        return found if time.monotonic() < until else None

    def keep(self, url: str, found: dict[str, str]) -> None:
        if len(self._known) >= _LISTS_KEPT:
            self._known.clear()
        self._known[url] = (time.monotonic() + _LIST_FRESH, found)


class Rdap:
    """Requests of one run. Every CheckFault but `expect.registered` is unknown: it says nothing about the domain."""

    def __init__(self, steps: Steps, context: CheckContext, ca: str, limit: float) -> None:
        self._steps = steps
        self._context = context
        self._ca = ca
        self._ends = time.monotonic() + limit

    async def server_for(self, name: str, bootstrap: str) -> str:
        """URL of the server for the longest ending that the list has; CheckFault `lookup.no_rdap`."""
        lists = self._context.shared("domain.lists", Lists)
        servers = lists.get(bootstrap)
        if servers is None:
            servers = _read_list(await self._get(bootstrap, "the list of RDAP servers"))
            lists.keep(bootstrap, servers)
        labels = name.split(".")
        endings = (".".join(labels[start:]) for start in range(1, len(labels)))
        found = next((servers[ending] for ending in endings if ending in servers), "")
        if not found:
            reason = f"the list of RDAP servers has none for .{labels[-1]}"
            raise CheckFault("lookup.no_rdap", reason, verdict="unknown")
        return found

    async def ask(self, name: str, server: str) -> Registration:
        answer = await self._get(f"{server.rstrip('/')}/domain/{name}", "the RDAP server")
        if answer.status == _NOT_FOUND:
            raise CheckFault("expect.registered", f"the registry says that {name} is not registered")
        return _read_domain(answer, urlsplit(server).netloc)

    async def _get(self, url: str, what: str) -> Answer:
        target: dict[str, Any] = {
            "url": url,
            "headers": {"Accept": "application/rdap+json, application/json"},
            "max_read": _READ,
            "compressed": True,
        }
        if self._ca:
            target["tls"] = {"ca": self._ca}
        left = max(0.05, self._ends - time.monotonic())
        order = CheckOrder(uid="", kind="http", interval=0.0, timeout=left, options={"target": target})
        fetched = await fetch(plan_request(order), self._context)
        for phase, seconds in fetched.phases.items():
            self._steps.phases[phase] = self._steps.phases.get(phase, 0.0) + seconds
        answer, fault = fetched.answer, fetched.fault
        if answer is None:
            code, message = (fault.code, fault.message) if fault is not None else ("wait.closed", "no answer")
            raise CheckFault(code, f"{what} could not be reached: {message}", verdict="unknown")
        if answer.status not in (200, _NOT_FOUND):
            raise CheckFault("wait.refused", f"{what} answers {answer.status}", verdict="unknown")
        return answer


def _decoded(answer: Answer, what: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(answer.json_bytes)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    if answer.status != 200 or answer.cut or not isinstance(found, dict):
        start = excerpt(answer.text[:60])
        raise CheckFault("wait.malformed", f"{what} cannot be read: it begins with `{start}`", verdict="unknown")
    return found


def _read_list(answer: Answer) -> dict[str, str]:
    """Ending -> URL, an HTTPS one where there is one."""
    found: dict[str, str] = {}
    for service in _list(_decoded(answer, "the list of RDAP servers").get("services")):
        endings, urls = ([*service, [], []])[:2] if isinstance(service, list) else ([], [])
        usable = [url for url in _list(urls) if isinstance(url, str) and url.startswith(("https://", "http://"))]
        best = next((url for url in usable if url.startswith("https://")), usable[0] if usable else "")
        if best:
            found |= {str(ending).lower(): best for ending in _list(endings)}
    return found


def _read_domain(answer: Answer, server: str) -> Registration:
    document = _decoded(answer, "the answer of the RDAP server")
    if document.get("objectClassName") != "domain":
        raise CheckFault("wait.malformed", "the RDAP server's answer is not about a domain", verdict="unknown")
    events = [event for event in _list(document.get("events")) if isinstance(event, dict)]
    ends = [event.get("eventDate") for event in events if event.get("eventAction") == "expiration"]
    names = [item.get("ldhName") for item in _list(document.get("nameservers")) if isinstance(item, dict)]
    return Registration(
        source="rdap",
        server=server,
        expires=instant(str(ends[0])) if ends else None,
        registrar=_registrar(document),
        statuses=[excerpt(status) for status in _list(document.get("status")) if isinstance(status, str)],
        nameservers=[name.rstrip(".").lower() for name in names if isinstance(name, str)],
    )


def _registrar(document: dict[str, Any]) -> str:
    """The formatted name (`fn`) in the card (RFC 7095) of the entity with that role."""
    for entity in _list(document.get("entities"))[:_ENTITIES_READ]:
        if isinstance(entity, dict) and "registrar" in _list(entity.get("roles")):
            card = _list(entity.get("vcardArray"))
            rows = _list(card[1]) if len(card) > 1 else []
            named = [row[3] for row in rows if isinstance(row, list) and len(row) > 3 and row[0] == "fn"]
            return excerpt(str(named[0])) if named else ""
    return ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
