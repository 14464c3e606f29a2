"""Who may import whom: the layers of the house and of its capabilities, read from the list of capabilities."""

from __future__ import annotations

import grimp
import pytest

from mainstay.runtime.capabilities import LAYERS

BELOW = (("frames",), ("store",), ("kernel",))  # what all other capabilities stand on
FREE = {"integrations", "__main__"}  # looked at apart, and what starts everything


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("mainstay", cache_dir=None)


def layers() -> list[tuple[str, ...]]:
    return [layer for layer in reversed(LAYERS) if layer not in BELOW] + list(BELOW)


def broken(graph: grimp.ImportGraph) -> set[tuple[str, str]]:
    named = [grimp.Layer(*(f"mainstay.{name}" for name in layer)) for layer in layers()]
    found = graph.find_illegal_dependencies_for_layers(layers=named)
    return {(route.importer, route.imported) for route in found}


def test_imports_go_down_only(graph: grimp.ImportGraph) -> None:
    assert broken(graph) == set()


def test_every_room_has_its_layer(graph: grimp.ImportGraph) -> None:
    rooms = {module.removeprefix("mainstay.") for module in graph.find_children("mainstay")}
    assert rooms - FREE == {name for layer in layers() for name in layer}


@pytest.mark.parametrize(
    ("low", "high"),
    [("store.work", "watch.verbs"), ("watch.verbs", "alerting.verbs"), ("vault.pages", "journal.pages")],
)
def test_an_import_that_goes_up_or_aside_is_found(low: str, high: str) -> None:
    graph = grimp.build_graph("mainstay", cache_dir=None)
    graph.add_import(importer=f"mainstay.{low}", imported=f"mainstay.{high}")
    low_room, high_room = (f"mainstay.{name.partition('.')[0]}" for name in (low, high))
    assert (low_room, high_room) in broken(graph)


def test_integrations_know_the_kernel_only(graph: grimp.ImportGraph) -> None:
    known = {
        imported.split(".")[1]
        for module in graph.find_descendants("mainstay.integrations")
        for imported in graph.find_modules_directly_imported_by(module)
        if "." in imported
    }
    assert known == {"integrations", "kernel"}
