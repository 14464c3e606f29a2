"""UptimeRobot: monitors from a CSV export, or from JSON as its API tells them (v2 getMonitors, v3 /monitors).

Numbers and names of types: https://uptimerobot.com/api/ (parameters of getMonitors). Columns of a CSV are found by
their headings, whatever their order and case.
"""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from mainstay.foreign.importing.draft import Draft
from mainstay.foreign.importing.requests import KEPT_OUTSIDE, put_body, put_headers, put_method, put_url, shortened
from mainstay.foreign.importing.senders import apprise_channel, slack_channel, webhook_channel
from mainstay.foreign.importing.source import Node, bounded, carry, leave, read_bytes, read_json, root
from mainstay.foreign.importing.values import go_duration, statuses_of, written_statuses
from mainstay.kernel.diagnostics import Diagnostics, Place
from mainstay.store.resources.documents import Path, decode

# Their names for one field, as letters and digits: of the CSV, of API v2 and of API v3.
_NAMES = {
    "name": ("friendlyname", "name", "monitorname"),
    "type": ("type", "monitortype"),
    "url": ("url", "urlip", "urlorip", "urliphost", "monitorurl", "target"),
    "subtype": ("subtype", "porttype"),
    "port": ("port",),
    "keyword": ("keywordvalue", "keyword"),
    "keyword_type": ("keywordtype", "alertwhen"),
    "keyword_case": ("keywordcasetype",),
    "interval": ("interval", "monitoringinterval", "checkinterval"),
    "timeout": ("timeout",),
    "grace": ("graceperiod",),
    "method": ("httpmethod", "httpmethodtype", "method"),
    "user": ("httpusername",),
    "password": ("httppassword",),
    "auth": ("httpauthtype", "authtype"),
    "status": ("status",),
    "headers": ("customhttpheaders",),
    "statuses": ("successhttpresponsecodes", "customhttpstatuses"),
    "body": ("postvaluedata", "postvalue"),
    "contacts": ("alertcontacts", "assignedalertcontacts"),
    "tags": ("tags", "tagnames"),
    "group": ("group", "groupname"),
    "redirects": ("followredirections", "followhttpredirections"),
}
_TYPES = {"1": "http", "2": "keyword", "3": "ping", "4": "port", "5": "heartbeat", "https": "http", "httpss": "http"}
_PORTS = {"1": 80, "http": 80, "2": 443, "https": 443, "3": 21, "ftp": 21, "4": 25, "smtp": 25, "5": 110, "pop3": 110,
          "6": 143, "imap": 143}  # fmt: skip
_METHODS = {"1": "HEAD", "2": "GET", "3": "POST", "4": "PUT", "5": "PATCH", "6": "DELETE", "7": "OPTIONS"}
_CONTACTS = {"11": "slack", "5": "webhook", "webhook": "webhook", "slack": "slack", "14": "sms"}
_RESULTS = "a result or a number of its own, not a setting"


def read_uptimerobot(path: str) -> Node:
    """JSON by its first sign, else CSV. InvalidInput with the line of a mistake."""
    raw = read_bytes(path)
    if raw.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        return _from_json(path)
    return _from_csv(path, raw)


def _from_json(path: str) -> Node:
    found = read_json("uptimerobot", path)
    if isinstance(found.value, list):
        return root("uptimerobot", {"monitors": found.value}, lambda where: found.report.place_of(where[1:]))
    if not isinstance(found.get("monitors", "data"), Node):
        found.mistake("this is not a list of monitors: it has neither `monitors` nor `data`")
        found.report.diagnostics.raise_if_errors()
    return found


def _from_csv(path: str, raw: bytes) -> Node:
    diagnostics = Diagnostics()
    text = decode(raw, path, diagnostics)
    diagnostics.raise_if_errors()
    written = text or ""
    first = written.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(written), delimiter=separator, strict=True)
    rows: list[dict[str, str]] = []
    lines: list[int] = []
    try:
        heading = [name.strip() for name in next(reader, [])]
        known = {_plain(name) for name in heading}
        if not known & {*_NAMES["url"]} or not known & {*_NAMES["type"]}:
            hint = "the first line names the columns: Type, Friendly Name, URL/IP, ..."
            diagnostics.add("the columns of the type and of the URL are missing", Place(path, 1, 1), hint=hint)
        for row in reader:
            if len(row) > len(heading):
                diagnostics.add("the line has more fields than the first one", Place(path, reader.line_num, 1))
            if any(cell.strip() for cell in row):
                rows.append({name: cell.strip() for name, cell in zip(heading, row, strict=False) if cell.strip()})
                lines.append(reader.line_num)
    except csv.Error as error:
        diagnostics.add(f"this is not CSV: {error}", Place(path, reader.line_num, 1))
    diagnostics.raise_if_errors()

    def place(where: Path) -> Place:
        index = where[1] if len(where) > 1 else -1
        return Place(path, lines[index] if isinstance(index, int) and 0 <= index < len(lines) else 1, 1)

    return root("uptimerobot", {"monitors": rows}, place)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def import_uptimerobot(found: Node, draft: Draft) -> None:
    channels: dict[str, str] = {}
    for entry in found.entries("monitors", "data"):
        _Monitor(entry, draft, channels).read()
    leave(found, _RESULTS, "stat", "pagination", "nextLink", "next_link")


class _Monitor:
    """One monitor; fields are found by any of their names."""

    def __init__(self, node: Node, draft: Draft, channels: dict[str, str]) -> None:
        self.node, self.draft, self.channels = node, draft, channels
        self._by_name = {_plain(field.key): field for field in node.fields()}

    def get(self, name: str) -> Node | None:
        found = next((self._by_name[one] for one in _NAMES[name] if one in self._by_name), None)
        return None if found is None or found.value == "" else found

    def text(self, name: str) -> str:
        found = self.get(name)
        return "" if found is None else found.as_text().strip()

    def read(self) -> None:
        written = _plain(self.text("type"))
        kind = _TYPES.get(written, written)
        name = self.text("name") or self.text("url")
        if kind == "heartbeat":
            self._heartbeat(name)
        elif kind in ("http", "keyword", "ping", "port"):
            self._monitor(kind, name)
        else:
            self.node.left(f"Mainstay does not know monitors of the type `{self.text('type')[:40]}`")
            return
        for field in self.node.fields():
            if not field.report.is_noted(field.path):
                known = any(_plain(field.key) in names for names in _NAMES.values())
                field.left(f"a monitor of the type {kind} does not use it" if known else _RESULTS)

    def _monitor(self, kind: str, written: str) -> None:
        name = self.draft.name("monitor", written, f"{written}-{kind}")
        to = f"monitors.{name}"
        document: dict[str, Any] = {}
        if self.get("url") is None:
            self.node.mistake("a monitor needs a URL or an address")
            return
        if kind == "ping":
            document["icmp"] = self._host()
            carry(self.get("url"), f"{to}.icmp")
        elif kind == "port":
            document["tcp"] = f"{self._host()}:{self._port()}"
            for key in ("url", "port", "subtype"):
                carry(self.get(key), f"{to}.tcp")
        else:
            self._http(kind, name, document, to)
        carry(self.get("type"), to)
        self._called(name, to)
        self._times(document, to)
        self._shared("monitor", name, document, to)

    def _host(self) -> str:
        host = self.text("url").rpartition("://")[2].partition("/")[0]
        return host.rpartition(":")[0] if host.count(":") == 1 else host

    def _port(self) -> str:
        number = self.text("port").removesuffix(".0")
        if not number:
            number = self.text("url").rpartition("://")[2].partition("/")[0].partition(":")[2]
        return number or str(_PORTS.get(self.text("subtype").lower(), ""))

    def _called(self, name: str, to: str) -> None:
        found = self.get("name")
        if found is not None and found.value == name:
            found.carried(to)
        elif found is not None:
            found.approximated(to, f"names may hold only letters, digits and . _ - and must be unique: `{name}`")

    def _http(self, kind: str, name: str, document: dict[str, Any], to: str) -> None:
        target: dict[str, Any] = {}
        expect: dict[str, Any] = {}
        url = self.get("url")
        if url is not None:
            written = url.as_text() if "://" in url.as_text() else f"http://{url.as_text()}"
            put_url(self.draft, Node(written, url.path, url.report), target, f"{to}.http", name)
        if (method := self.get("method")) is not None:
            spoken = _METHODS.get(method.as_text(), method.as_text())
            put_method(Node(spoken, method.path, method.report), target, f"{to}.http")
        if (headers := self.get("headers")) is not None and isinstance(headers.value, dict):
            put_headers(self.draft, headers, target, f"{to}.http", name)
        body = self.get("body")
        if body is not None and isinstance(body.value, str):
            put_body(self.draft, body, target, f"{to}.http", name)
        self._credentials(name, target, to)
        if (redirects := self.get("redirects")) is not None:
            target |= {} if redirects.is_on else {"redirects": {"follow": False}}
            redirects.carried(f"{to}.http.redirects")
        self._expect(kind, expect, to)
        document["http"] = shortened(target, "url")
        document |= {"expect": expect} if expect else {}

    def _credentials(self, name: str, target: dict[str, Any], to: str) -> None:
        user, password = self.get("user"), self.get("password")
        if user is None or password is None:
            return
        way = "digest" if _plain(self.text("auth")) in ("2", "digest") else "basic"
        target["auth"] = {
            way: {"username": user.as_text(), "password": self.draft.secret(password, f"{name}_password")}
        }
        user.carried(f"{to}.http.auth.{way}.username")
        password.carried(f"{to}.http.auth.{way}.password", KEPT_OUTSIDE)
        carry(self.get("auth"), f"{to}.http.auth")

    def _expect(self, kind: str, expect: dict[str, Any], to: str) -> None:
        keyword, case, statuses = self.get("keyword"), self.get("keyword_case"), self.get("statuses")
        if kind == "keyword" and keyword is not None:
            # The type says when to alert: "exists" (1) means that the keyword must not be there.
            absent = _plain(self.text("keyword_type")) in ("1", "exists", "alertexists", "keywordexists")
            insensitive = case is not None and _plain(case.as_text()) in ("1", "caseinsensitive", "insensitive")
            field = "not_contains" if absent else "contains"
            if insensitive:
                pattern = f"(?i:{re.escape(keyword.as_text())})"
                field = "not_regex" if absent else "regex"
                expect[field] = pattern
            else:
                expect[field] = keyword.as_text()
            for node in (keyword, case, self.get("keyword_type")):
                carry(node, f"{to}.expect.{field}")
        if statuses is not None and isinstance(statuses.value, list):
            codes = frozenset[int]().union(*(statuses_of(str(one)) or () for one in statuses.value))
            if codes:
                expect["status"] = written_statuses(codes)
                statuses.carried(f"{to}.expect.status")

    def _times(self, document: dict[str, Any], to: str) -> None:
        for key, ours, low, high in (("interval", "every", 1, 86_400), ("timeout", "timeout", 0.1, 120)):
            node = self.get(key)
            seconds = _seconds(node) if node is not None else None
            if node is not None and seconds:
                document[ours] = bounded(node, seconds, low, high, f"{to}.{ours}")

    def _heartbeat(self, written: str) -> None:
        name = self.draft.name("heartbeat", written or "heartbeat")
        to = f"heartbeats.{name}"
        document: dict[str, Any] = {"title": written[:100]} if written != name else {}
        carry(self.get("name"), f"{to}.title" if document else to)
        interval, grace, url = self.get("interval"), self.get("grace"), self.get("url")
        seconds = _seconds(interval) if interval is not None else None
        document["every"] = (
            bounded(interval, seconds, 1, 366 * 86_400, f"{to}.every") if interval is not None and seconds else "1d"
        )
        late = _seconds(grace) if grace is not None else None
        if grace is not None and late is not None:
            document["grace"] = bounded(grace, late, 1, 366 * 86_400, f"{to}.grace")
        if url is not None:
            url.left("its address changes: the heartbeat's page shows the new one")
        carry(self.get("type"), to)
        self._shared("heartbeat", name, document, to)

    def _shared(self, kind: str, name: str, document: dict[str, Any], to: str) -> None:
        status, tags, group = self.get("status"), self.get("tags"), self.get("group")
        if status is not None and _plain(status.as_text()) in ("0", "paused"):
            document["enabled"] = False
            status.carried(f"{to}.enabled")
        if tags is not None:
            listed = tags.value if isinstance(tags.value, list) else re.split(r"[,;|]", tags.as_text())
            words = [str(tag.get("name", "") if isinstance(tag, dict) else tag).strip()[:200] for tag in listed]
            document |= {"tags": list(dict.fromkeys(word for word in words if word))} if any(words) else {}
            tags.report.note(tags.path, "carried", f"{to}.tags")
        if group is not None:
            document["labels"] = {"group": group.as_text()[:200]}
            group.carried(f"{to}.labels.group")
        self.draft.add(kind, name, document, self.node)
        self._contacts(kind, name, to)

    def _contacts(self, kind: str, name: str, to: str) -> None:
        contacts = self.get("contacts")
        if contacts is None or not isinstance(contacts.value, list):
            return
        for index, value in enumerate(contacts.value):
            contact = Node(value, (*contacts.path, index), contacts.report)
            channel = self._channel(contact) if isinstance(value, dict) else ""
            if channel:
                self.draft.tell(kind, name, [channel])
                leave(contact, "a monitor waits for its `confirm`, and notifies once", "threshold", "recurrence")
                carry(contact.get("id", "alertContactId"), f"{to}.labels")

    def _channel(self, contact: Node) -> str:
        """An e-mail address, a webhook or a service, by the number of its type."""
        identity, kind, value = contact.text("id", "alertContactId"), contact.text("type").lower(), contact.get("value")
        if identity in self.channels:
            carry(value, f"channels.{self.channels[identity]}")
            carry(contact.get("type"), f"channels.{self.channels[identity]}")
            return self.channels[identity]
        if value is None:
            contact.left("the export does not tell where it leads")
            return ""
        name = self.draft.name("channel", contact.text("friendly_name"), f"contact-{identity}")
        to = f"channels.{name}"
        document: dict[str, Any] | None
        if kind in ("2", "email", "e-mail"):
            document = {"email": {"to": [value.as_text()]}}
            value.carried(f"{to}.email.to")
        elif _CONTACTS.get(kind) == "slack":
            document = slack_channel(self.draft, value, name, to)
        elif _CONTACTS.get(kind) == "webhook":
            document = webhook_channel(self.draft, value, name, to)
        else:
            service = {"18": "telegram", "16": "pushover", "6": "pushbullet", "23": "msteams"}.get(kind, kind)
            document = apprise_channel(self.draft, service, value, name, to)
        carry(contact.get("type"), to)
        carry(contact.get("friendly_name"), to)
        self.channels[identity] = name if document else ""
        if document:
            self.draft.add("channel", name, document, contact)
        return self.channels[identity]


def _seconds(node: Node) -> float | None:
    """`300`, `5m`, `5 min`; a bare number is seconds."""
    written = re.sub(r"\s*(min(?:utes?)?)$", "m", node.as_text().strip(), flags=re.IGNORECASE)
    written = re.sub(r"\s*(s(?:ec(?:onds?)?)?)$", "s", written, flags=re.IGNORECASE)
    try:
        number = float(written)
    except ValueError:
        seconds = go_duration(written)
        if seconds is None:
            node.mistake(f"`{written[:40]}` is not a duration in seconds")
        return seconds
    return number
