"""Prometheus' scrape jobs that go through a blackbox exporter: a monitor for every target.

Such a job asks `/probe` with `params: {module: [...]}`, and relabels the target's address into `__param_target`.
"""

from __future__ import annotations

from typing import Any

from mainstay.foreign.importing.blackbox import add_probe, modules_of
from mainstay.foreign.importing.draft import Draft, label_name
from mainstay.foreign.importing.source import Node, bounded, carry, leave, read_yaml
from mainstay.foreign.importing.values import go_duration
from mainstay.kernel.diagnostics import Place
from mainstay.store.resources.documents import Path

_DISCOVERY = "targets found by service discovery are not in the file; list them under static_configs"
_OTHERS = "Mainstay does not scrape metrics; Prometheus may go on doing that"
# What the exporter does with modules of these names as it is delivered (blackbox.yml).
_STANDARD: dict[str, dict[str, Any]] = {
    "http_2xx": {"prober": "http"},
    "http_post_2xx": {"prober": "http", "http": {"method": "POST"}},
    "tcp_connect": {"prober": "tcp"},
    "pop3s_banner": {"prober": "tcp", "tcp": {"tls": True, "query_response": [{"expect": "^+OK"}]}},
    "ssh_banner": {"prober": "tcp", "tcp": {"query_response": [{"expect": "^SSH-2.0-"}]}},
    "icmp": {"prober": "icmp"},
    "grpc": {"prober": "grpc", "grpc": {"tls": True}},
    "grpc_plain": {"prober": "grpc"},
}


def read_both(path: str, blackbox: str) -> Node:
    """The configuration of Prometheus, with that of the exporter under the key `blackbox` if it is given."""
    found = read_yaml("prometheus", path)
    if not blackbox:
        return found
    other = read_yaml("prometheus", blackbox)
    first, second = found.report.place_of, other.report.place_of

    def place(where: Path) -> Place:
        return second(where[1:]) if where[:1] == ("blackbox",) else first(where)

    found.report.place_of = place
    found.report.data = {**found.value, "blackbox": other.value}
    return Node(found.report.data, (), found.report)


def import_prometheus(root: Node, draft: Draft) -> None:
    root.expect("a configuration of Prometheus", "scrape_configs")
    given = root.mapping("blackbox")
    modules = modules_of(given) if given is not None else {}
    used: set[str] = set()
    overall = root.mapping("global")
    for job in root.entries("scrape_configs"):
        path = job.text("metrics_path")
        if path.rstrip("/").endswith("/probe") or (job.mapping("params") or job).get("module") is not None:
            _Job(job, overall, draft, modules, used).read()
        else:
            job.left(_OTHERS)
    for name, module in modules.items():
        if name not in used:
            module.left("no job uses this module")
    for field in root.fields():
        if field.key not in ("scrape_configs", "blackbox", "global"):
            field.left(_OTHERS)
    for field in overall.fields() if overall is not None else ():
        if field.key not in ("scrape_interval", "scrape_timeout"):
            field.left(_OTHERS)


class _Job:
    """One scrape job on its way to monitors."""

    def __init__(
        self, node: Node, overall: Node | None, draft: Draft, modules: dict[str, Node], used: set[str]
    ) -> None:
        self.node, self.overall, self.draft, self.modules, self.used = node, overall, draft, modules, used

    def read(self) -> None:
        for config in self.node.entries("static_configs"):
            for target in _listed(config.get("targets")):
                self._target(target, config.mapping("labels"))
        for field in self.node.fields():
            if field.key.endswith("_sd_configs"):
                field.left(_DISCOVERY)
        carry(self.node.get("metrics_path"), "monitors")
        name = self.node.get("job_name")
        if name is not None and not name.report.is_noted(name.path):
            name.left("none of its targets is imported")
        self._relabelling()
        leave(self.node, "Mainstay checks the targets itself, without the "
        "exporter", "scheme", "basic_auth", "tls_config",
              "authorization", "proxy_url", "honor_labels", "honor_timestamps", "follow_redirects",
              "metric_relabel_configs", "enable_http2")  # fmt: skip

    def _target(self, target: Node, labels: Node | None) -> None:
        module = self._module(labels)
        if module is None:
            target.left("its module is not known; give the exporter's file with --blackbox")
            return
        count = len(self.draft.entries)
        to = add_probe(self.draft, module, target.as_text(), target, [target.as_text()])
        if to is None:
            return
        target.carried(to)
        document = self.draft.entries[count].document
        self._times(document, to)
        own: dict[str, str] = {}
        if (job := self.node.get("job_name")) is not None:
            own["job"] = job.as_text()[:200]
            job.carried(f"{to}.labels.job")
        for label in labels.fields() if labels is not None else ():
            name = label_name(label.key)
            if name and not label.key.startswith("__"):
                own[name] = label.as_text()[:200]
                label.carried(f"{to}.labels.{name}")
            elif not self._is_module_label(label.key):
                label.left("labels that begin with __ are for relabelling")
        if own:
            document["labels"] = own

    def _is_module_label(self, key: str) -> bool:
        return key in ("module", "__param_module")

    def _module(self, labels: Node | None) -> Node | None:
        """By a label for it, else by the job's parameter."""
        named = labels.get("__param_module", "module") if labels is not None else None
        params = self.node.mapping("params")
        listed = _listed(params.get("module")) if params is not None else []
        chosen = named or (listed[0] if listed else None)
        if chosen is None:
            return None
        name = chosen.as_text()
        self.used.add(name)
        if name in self.modules:
            chosen.carried("monitors")
            return self.modules[name]
        if not self.modules and name in _STANDARD:
            chosen.approximated("monitors", "as in the exporter's default file; give yours with --blackbox")
            return Node(_STANDARD[name], ("standard modules", name), self.node.report)
        chosen.left("this module is not in the exporter's file" if self.modules else "give its file with --blackbox")
        return None

    def _times(self, document: dict[str, Any], to: str) -> None:
        for key, ours, low, high in (("scrape_interval", "every", 1, 86_400), ("scrape_timeout", "timeout", 0.1, 120)):
            node = self.node.get(key) or (self.overall.get(key) if self.overall is not None else None)
            if node is None:
                continue
            seconds = go_duration(node.value)
            if seconds is None:
                node.mistake(f"`{str(node.value)[:40]}` is not a duration such as 30s")
            elif ours == "timeout" and "timeout" in document:
                node.carried(f"{to}.timeout", "the module's own limit is shorter" if seconds else "")
            else:
                document[ours] = bounded(node, seconds, low, high, f"{to}.{ours}")

    def _relabelling(self) -> None:
        """What every such job has is carried by monitors being what they are."""
        for rule in self.node.entries("relabel_configs"):
            sources = [node.as_text() for node in _listed(rule.get("source_labels"))]
            pair = (sources[0] if len(sources) == 1 else "", rule.text("target_label"))
            usual = pair in (("__address__", "__param_target"), ("__param_target", "instance"))
            usual = usual or pair[1] in ("__address__", "__param_module") or pair == ("__address__", "instance")
            if usual and rule.get("regex") is None:
                rule.report.note(rule.path, "carried", "monitors", "the target is the monitor's own")
            else:
                rule.left("only static labels are read; relabelling rules are not")


def _listed(node: Node | None) -> list[Node]:
    if node is None:
        return []
    if not isinstance(node.value, list):
        return [node]
    return [Node(value, (*node.path, index), node.report) for index, value in enumerate(node.value)]
