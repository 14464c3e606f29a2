"""Uptime Kuma: monitors, notifications, tags, groups, status pages and maintenance."""

from __future__ import annotations

from typing import Any

from mainstay.foreign.importing.draft import Draft, label_name
from mainstay.foreign.importing.kuma_fields import domain_of, tell_the_rest
from mainstay.foreign.importing.kuma_monitors import read_target
from mainstay.foreign.importing.kuma_notifications import read_notification
from mainstay.foreign.importing.kuma_pages import read_maintenance, read_pages
from mainstay.foreign.importing.kuma_source import field, row_of, rows, text
from mainstay.foreign.importing.requests import KEPT_OUTSIDE
from mainstay.foreign.importing.source import Node, bounded, carry, leave
from mainstay.kernel.timespan import format_duration

_DEFAULTS = {"weight": 2000, "resendInterval": 0, "upsideDown": 0, "forceInactive": 0, "maintenance": 0}
_FORGOTTEN = {
    "id": "Mainstay assigns its own",
    "user_id": "monitors belong to the team",
    "userId": "monitors belong to the team",
    "created_date": "Mainstay keeps its own history",
    "weight": "lists are sorted by state and name",
    "resendInterval": "a notification is not repeated while nothing changes",
    "pathName": "derived from the names of groups",
    "path": "derived from the names of groups",
    "childrenIDs": "the other side of `parent`",
    "dns_last_result": "a result, not a setting",
    "screenshot": "a result, not a setting",
    "includeSensitiveData": "describes the contents of the backup",
    "forceInactive": "marks a group as paused",
    "maintenance": "a state, not a setting",
}
_OTHER_TABLES = "people, keys, settings and results are not declared"


def import_kuma(root: Node, draft: Draft) -> dict[str, str]:
    """Fill the draft; the names of monitors by their ids in Kuma (for history)."""
    channels = {
        row.key: name for row in rows(root, "notification") if (name := read_notification(row, draft)) is not None
    }
    reader = _Reader(root, draft, channels)
    for row in rows(root, "monitor"):
        reader.read(row)
    reader.group()
    read_pages(root, draft, reader.made)
    read_maintenance(root, draft, reader.made)
    for key in ("version", "other tables", "docker_host", "incident", "tag", "monitor_tag", "monitor_notification"):
        leave(root, _OTHER_TABLES if key == "other tables" else "it has no meaning by itself", key)
    reader.joined()
    return {identity: name for identity, (kind, name) in reader.made.items() if kind == "monitor"}


class _Reader:
    """Monitors one after the other; `made` is the resource of each id."""

    def __init__(self, root: Node, draft: Draft, channels: dict[str, str]) -> None:
        self.root, self.draft, self.channels = root, draft, channels
        self.made: dict[str, tuple[str, str]] = {}
        self._groups: dict[str, tuple[Node, str]] = {}
        self._domains: dict[str, str] = {}  # -> the monitor that looks at it
        self._joined = {table: _by(root, table, "monitor_id") for table in ("monitor_notification", "monitor_tag")}
        self._labels = {row.key: text(row, "name") for row in rows(root, "monitor") if text(row, "type") == "group"}

    def read(self, node: Node) -> None:
        kind, written = text(node, "type"), text(node, "name")
        for key, why in _FORGOTTEN.items():
            leave(node, why, key)
        upside_down = field(node, "upsideDown")
        if upside_down is not None and upside_down.is_on and kind in ("push", "group"):
            node.left("a push monitor or group that is up when it fails cannot be declared")
            return
        if kind == "push":
            self._heartbeat(node, written)
            return
        if kind == "group":
            self._groups[node.key] = (node, written)
            return
        self._monitor(node, kind, written)

    def _monitor(self, node: Node, kind: str, written: str) -> None:
        name = self.draft.name("monitor", written, f"{written}-{node.key}")
        to = f"monitors.{name}"
        found = read_target(node, self.draft, name, self.root)
        if isinstance(found, str):
            node.left(found)
            return
        carry(field(node, "type"), f"{to}.{found.kind}")
        _called(node, name, to)
        document = {found.kind: found.target} | ({"expect": found.expect} if found.expect else {})
        if found.alert_on:
            document["alert_on"] = found.alert_on
        if (upside_down := field(node, "upsideDown")) is not None and upside_down.is_on:
            document["inverted"] = True
            upside_down.carried(f"{to}.inverted")
        self._times(node, document, to)
        self._shared(node, "monitor", name, document, to)
        self._domain(node, kind)
        _default(node)
        tell_the_rest(node, kind)

    def _domain(self, node: Node, kind: str) -> None:
        """That a domain expires is told by a monitor of its own, one for all that are in the domain."""
        notice, active = field(node, "domainExpiryNotification"), field(node, "active")
        domain = domain_of(node, kind)
        paused = active is not None and not active.is_on
        if notice is None or not notice.is_on or not domain or paused or "domain" not in self.draft.kinds:
            return
        if domain not in self._domains:
            name = self._domains[domain] = self.draft.name("monitor", f"domain-{domain}")
            document = {"domain": domain, "expect": {"days": 21}, "alert_on": ["down", "degraded"]}
            self.draft.add("monitor", name, document, notice)
        name = self._domains[domain]
        notice.approximated(
            f"monitors.{name}", "Kuma notifies 21, 14 and 7 days before; here it is degraded from 21 days on"
        )
        self._notifications(node, "monitor", name)

    def _times(self, node: Node, document: dict[str, Any], to: str) -> None:
        interval, retry = field(node, "interval"), field(node, "retryInterval")
        retries, timeout = field(node, "maxretries"), field(node, "timeout")
        seconds = interval.as_number() if interval is not None else None
        if interval is not None and seconds is not None:
            document["every"] = bounded(interval, seconds, 1, 86_400, f"{to}.every")
        count = retries.as_number() if retries is not None else 0
        document["confirm"] = {"failures": int(min(max((count or 0) + 1, 1), 20))}
        document["recover"] = {"successes": 1}
        if retries is not None and (count or 0) <= 19:
            retries.carried(f"{to}.confirm.failures")
        elif retries is not None:
            retries.approximated(f"{to}.confirm.failures", "at most 20 failures in a row")
        wait = retry.as_number() if retry is not None else None
        if retry is not None and wait and document["confirm"]["failures"] > 1:
            document["confirm"]["recheck"] = bounded(retry, wait, 1, 86_400, f"{to}.confirm.recheck")
        else:
            carry(retry, f"{to}.confirm")
        limit = timeout.as_number() if timeout is not None else None
        if timeout is not None and limit:
            document["timeout"] = bounded(timeout, limit, 0.1, 120, f"{to}.timeout")
        elif timeout is not None:  # 0 is none of its own
            document["timeout"] = format_duration(min(max(0.8 * (seconds or 60), 0.1), 120))
            timeout.approximated(f"{to}.timeout", "Kuma then takes 80 % of the interval, at most 2 minutes here")

    def _heartbeat(self, node: Node, written: str) -> None:
        name = self.draft.name("heartbeat", written, f"{written}-{node.key}")
        to = f"heartbeats.{name}"
        carry(field(node, "type"), to)
        document: dict[str, Any] = {"title": written[:100]} if written != name else {}
        carry(node.get("name"), f"{to}.title" if document else to)
        interval, retry, retries = (field(node, key) for key in ("interval", "retryInterval", "maxretries"))
        seconds = interval.as_number() if interval is not None else None
        document["every"] = (
            bounded(interval, seconds or 60, 1, 366 * 86_400, f"{to}.every") if interval is not None else "1m"
        )
        wait = (retry.as_number() or 0) if retry is not None else 0
        grace = max(1.0, wait * ((retries.as_number() or 0) if retries is not None else 0))
        document["grace"] = f"{grace:g}s"
        for one in (retry, retries):
            if one is not None:
                one.approximated(f"{to}.grace", "how late a push may be: the retries times their interval")
        token = field(node, "pushToken")
        if token is not None:
            document["push_token"] = self.draft.secret(token, f"{name}_token", "the push token as it stands there")
            token.carried(f"{to}.push_token", KEPT_OUTSIDE)
        self._shared(node, "heartbeat", name, document, to)
        _default(node)
        tell_the_rest(node, "push")

    def _shared(self, node: Node, kind: str, name: str, document: dict[str, Any], to: str) -> None:
        active, description, parent = (field(node, key) for key in ("active", "description", "parent"))
        if active is not None:
            document |= {} if active.is_on else {"enabled": False}
            active.carried(f"{to}.enabled")
        if description is not None:
            document["description"] = description.as_text()
            description.carried(f"{to}.description")
        if parent is not None:
            group = self._labels.get(parent.as_text().removesuffix(".0"))
            if group:
                document.setdefault("labels", {})["group"] = group[:200]
                parent.carried(f"{to}.labels.group")
            else:
                parent.left("the group does not exist any more")
        self._tags(node, document, to)
        self.made[node.key] = (kind, name)
        self.draft.add(kind, name, document, node)
        self._notifications(node, kind, name)

    def _tags(self, node: Node, document: dict[str, Any], to: str) -> None:
        listed = node.get("tags")
        tags = [(one.text("name"), one.text("value"), one) for one in node.entries("tags")] if listed else []
        for join in self._joined["monitor_tag"].get(node.key, ()):
            tag = row_of(self.root, "tag", text(join, "tag_id"))
            if tag is not None:
                tags.append((text(tag, "name"), text(join, "value"), join))
                carry(tag.get("name"), f"{to}.labels")
        for name, value, one in tags:
            leave(one, "tags have no colour", "color")
            leave(one, "Mainstay assigns its own", "id", "tag_id", "monitor_id")
            label = label_name(name)
            if value and label and label not in document.get("labels", {}):
                document.setdefault("labels", {})[label] = value[:200]
                where = f"{to}.labels.{label}"
            else:
                word = f"{name}: {value}" if value else name
                if word and word[:200] not in document.get("tags", ()):
                    document.setdefault("tags", []).append(word[:200])
                where = f"{to}.tags"
            carry(one.get("name"), where)
            carry(one.get("value"), where)

    def _notifications(self, node: Node, kind: str, name: str) -> None:
        listed = node.get("notificationIDList")
        if listed is not None and isinstance(listed.value, list):  # older exports
            for index, identity in enumerate(listed.value):
                one = Node(identity, (*listed.path, index), listed.report)
                self._tell(one, one.as_text().removesuffix(".0"), kind, name)
        elif (chosen := node.mapping("notificationIDList")) is not None:
            for one in chosen.fields():
                self._tell(one, one.key if one.is_on else "", kind, name)
        for join in self._joined["monitor_notification"].get(node.key, ()):
            self._tell(join.get("notification_id") or join, text(join, "notification_id"), kind, name)

    def _tell(self, node: Node, identity: str, kind: str, name: str) -> None:
        channel = self.channels.get(identity)
        if channel is None:
            node.left("its notification is not imported" if identity else "switched off")
            return
        self.draft.tell(kind, name, [channel])
        node.carried("routes")

    def group(self) -> None:
        """Groups: a monitor over their members, where this install knows such; their members have a label anyway."""
        children: dict[str, list[str]] = {}
        for row in rows(self.root, "monitor"):
            made = self.made.get(row.key)
            parent = text(row, "parent").removesuffix(".0")
            if made is not None and made[0] == "monitor" and parent:
                children.setdefault(parent, []).append(made[1])
        for identity, (node, written) in self._groups.items():
            members = children.get(identity, [])
            if "group" not in self.draft.kinds or not members:
                why = "its members have its name in the label `group`"
                node.left(why if members else "none of its members is imported")
                continue
            name = self.draft.name("monitor", written, f"{written}-group")
            to = f"monitors.{name}"
            _called(node, name, to)
            document: dict[str, Any] = {"group": {"members": members[:200], "up": "all"}}
            carry(field(node, "type"), f"{to}.group")
            self._shared(node, "monitor", name, document, to)
            tell_the_rest(node, "group")
            for key in ("interval", "maxretries", "retryInterval", "timeout"):
                if (one := field(node, key)) is not None:
                    one.idle("a group's state follows its members")
            _default(node)

    def joined(self) -> None:
        """Rows that join others say nothing by themselves."""
        for table, found in self._joined.items():
            for row in (row for listed in found.values() for row in listed):
                leave(row, f"joins tables ({table})", "id", "monitor_id")


def _default(node: Node) -> None:
    """Switches that stand as they were delivered are carried by being so."""
    for key, value in _DEFAULTS.items():
        found = field(node, key)
        if found is not None and (found.value == value or (value == 0 and found.value is False)):
            node.report.settle(found.path, "as Mainstay does")


def _called(node: Node, name: str, to: str) -> None:
    written = node.get("name")
    if written is not None and written.value == name:
        written.carried(to)
    elif written is not None:
        written.approximated(to, f"names may hold only letters, digits and . _ - and must be unique: `{name}`")


def _by(root: Node, table: str, key: str) -> dict[str, list[Node]]:
    found: dict[str, list[Node]] = {}
    for row in rows(root, table):
        found.setdefault(text(row, key), []).append(row)
    return found
