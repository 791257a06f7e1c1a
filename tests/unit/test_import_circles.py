# SPDX-License-Identifier: Apache-2.0
"""No module needs itself to be imported: whether that works depends on who is imported first."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("gateway", "adapters")


def _modules() -> dict[str, Path]:
    paths = (path for name in _PACKAGES for path in (_ROOT / name).rglob("*.py"))
    return {_name(path.relative_to(_ROOT)): path for path in paths}


def _name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _imports(body: list[ast.stmt]) -> Iterator[str]:
    """What is imported when the module is."""
    for node in body:
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(module=str(module)):
                yield module
                yield from (f"{module}.{alias.name}" for alias in node.names)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                yield from _imports(node.orelse)
            case ast.If() | ast.Try():
                yield from _imports(node.body)


def _needs(name: str, path: Path, modules: dict[str, Path]) -> set[str]:
    """A package is there, as far as it got, before what is in it."""
    found = set(_imports(ast.parse(path.read_text()).body))
    return {each for each in found & modules.keys() if not f"{name}.".startswith(f"{each}.")}


def test_no_module_imports_itself_in_a_circle() -> None:
    modules = _modules()
    graph = {name: _needs(name, path, modules) for name, path in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" needs ".join(reversed(error.args[1])))
