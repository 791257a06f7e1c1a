# SPDX-License-Identifier: Apache-2.0
"""The command line, and the guard against foreign packages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar

import msgspec
import pytest
from typer.testing import CliRunner

import gateway
from gateway import registry
from gateway.cli import app
from gateway.registry import (
    BrokenAdapter,
    ForeignPackage,
    UnknownAdapter,
    adapter_class,
    refuse_foreign_packages,
)

if TYPE_CHECKING:
    from gateway.config import Config

GOOD = """\
xmpp: {server: {domain: example.org}}
networks:
  talk: {adapter: plain, domain: talk.example.org, secret: hunter2}
"""


class PlainSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing to set."""


class PlainAdapter:
    settings_type: ClassVar = PlainSettings


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with one adapter installed."""
    monkeypatch.setattr(registry, "installed", lambda: {"plain": lambda: PlainAdapter})
    monkeypatch.setattr("gateway.config.load.installed", registry.installed)
    monkeypatch.delenv("DRAGOMAN_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``dragoman`` with these arguments."""
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


def test_version() -> None:
    assert gateway.__version__ in invoke("version")[1]


def test_help_names_the_commands() -> None:
    code, out, _ = invoke("--help")
    assert code == 0
    assert all(command in out for command in ("run", "check", "version"))


def test_check_of_a_good_file(directory: Path) -> None:
    (directory / "config.yaml").write_text(GOOD)
    assert invoke("check") == (
        0,
        f"""\
config.yaml is fine.
  server    example.org, component port 127.0.0.1:5347
  network   talk: talk.example.org (Plain)
  database  {directory}/dragoman.db
  access    example.org
""",
        "",
    )


def test_check_says_when_everybody_has_access(directory: Path) -> None:
    (directory / "config.yaml").write_text(GOOD + 'access: {allow: ["*"]}\n')
    assert "access    everybody" in invoke("check")[1]


def test_check_of_a_bad_file(directory: Path) -> None:
    (directory / "config.yaml").write_text(
        GOOD.replace("secret:", "secret: a, secrt:") + "log: {levle: x, " + "y" * 60 + ": [b]}\n"
    )
    code, out, err = invoke("check")
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        'config.yaml:3: networks.talk.secrt: unknown key; did you mean "secret"?',
        'config.yaml:4: log.levle: unknown key; did you mean "level"?',
        f"config.yaml:4: log.{'y' * 60}: unknown key; the keys here are: format, level",
    ]


@pytest.mark.parametrize(("command", "expected"), [("check", 1), ("run", 78)])
def test_exit_codes(command: str, expected: int) -> None:
    assert invoke(command) == (
        expected,
        "",
        "config.yaml: cannot be read: No such file or directory\n",
    )


def test_file_from_the_environment(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "other.yaml").write_text(GOOD)
    monkeypatch.setenv("DRAGOMAN_CONFIG", "other.yaml")
    assert invoke("check")[1].startswith("other.yaml is fine.")
    assert invoke("check", "--config", "none.yaml")[0] == 1


def test_secret_from_the_environment(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "config.yaml").write_text(GOOD.replace(", secret: hunter2", ""))
    monkeypatch.setenv("DRAGOMAN_NETWORKS_TALK_SECRET", "hunter2")
    assert invoke("check")[0] == 0


def test_run_hands_over_the_configuration_and_returns_its_code(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "config.yaml").write_text(GOOD)
    started: list[Config] = []

    def run(config: Config) -> int:
        started.append(config)
        return 7

    application = ModuleType("gateway.app")
    application.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gateway.app", application)
    assert invoke("run", "-c", "config.yaml")[0] == 7
    (config,) = started
    assert config.xmpp.server.domain == "example.org"


@pytest.mark.parametrize(("command", "expected"), [("check", 1), ("run", 78)])
def test_foreign_package_is_refused(
    monkeypatch: pytest.MonkeyPatch, command: str, expected: int
) -> None:
    foreign = ModuleType("adapters")
    foreign.__file__ = "/somewhere/adapters/__init__.py"
    monkeypatch.setitem(sys.modules, "adapters", foreign)
    code, _, err = invoke(command)
    assert code == expected
    assert err == (
        'the package "adapters" that Python found is not part of Dragoman '
        "(/somewhere/adapters/__init__.py); install Dragoman in a virtual environment of its own\n"
    )


def test_missing_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "adapters", None)
    with pytest.raises(ForeignPackage, match='the package "adapters" of Dragoman is missing'):
        refuse_foreign_packages()


def test_our_packages_are_accepted() -> None:
    refuse_foreign_packages()


def test_adapter_by_name() -> None:
    found: object = adapter_class("plain", {"plain": lambda: PlainAdapter})
    assert found is PlainAdapter
    with pytest.raises(UnknownAdapter):
        adapter_class("plain", {})


@pytest.mark.parametrize("error", [ImportError("no"), AttributeError("no"), OSError("no")])
def test_adapter_that_cannot_be_imported(error: Exception) -> None:
    def load() -> object:
        raise error

    with pytest.raises(BrokenAdapter, match=r'pip install "\.\[plain\]"'):
        adapter_class("plain", {"plain": load})


@pytest.mark.parametrize("load", [lambda: None, lambda: object, lambda: 5])
def test_entry_point_that_is_no_adapter(load: Callable[[], object]) -> None:
    with pytest.raises(BrokenAdapter, match="does not lead to an adapter class"):
        adapter_class("plain", {"plain": load})


def test_the_command_line_starts_without_the_network_libraries() -> None:
    program = (
        "import sys, gateway.__main__; "
        "print(sorted({'slixmpp', 'nio', 'aiohttp', 'aiosqlite'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(gateway.__file__).parents[1],
    )
    assert result.stdout == "[]\n"
