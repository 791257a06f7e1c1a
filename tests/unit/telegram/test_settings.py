# SPDX-License-Identifier: Apache-2.0
"""What an admin may set, and the example of it."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from adapters.telegram import TelegramAdapter, TelegramSettings
from adapters.telegram.settings import ServerUrl
from gateway.adapter import Secret
from gateway.config import load_config
from gateway.errors import ConfigError
from gateway.ids import NetworkName

_EXAMPLE = (Path(__file__).parents[3] / "config.example.yaml").read_text()
_NETWORK = NetworkName("telegram")
_CONFIG = """
xmpp: {{server: {{domain: example.org}}}}
networks:
  telegram: {{adapter: telegram, domain: t.example.org, secret: s, settings: {{{settings}}}}}
"""


def _settings(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> object:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    config = load_config(file, environ or {}, adapters={"telegram": lambda: TelegramAdapter})
    return config.networks[_NETWORK].settings


def test_the_example_shows_every_setting_with_its_default(tmp_path: Path) -> None:
    block = re.search(r"^  # telegram:\n(?:  # .*\n)+", _EXAMPLE, re.MULTILINE)
    assert block is not None
    shown = re.sub(r"^  # ", "  ", block[0], flags=re.MULTILINE)
    server = "xmpp: {server: {domain: example.org}}\n"
    assert _settings(tmp_path, f"{server}networks:\n{shown}") == TelegramSettings()
    written = yaml.safe_load(shown)["telegram"]["settings"]
    assert [*written, "relay_token"] == list(TelegramSettings.__struct_fields__)
    assert "# relay_token: " in shown


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("http://127.0.0.1:8081/", "http://127.0.0.1:8081"),
        ("https://bots.example.org/api", "https://bots.example.org/api"),
        ("ftp://x.example", None),
        ("bots.example.org", None),
        ("https://user@x.example", None),
        ("https://x.example/?a=b", None),
        ("https://x.example:port", None),
        ("http://localhost:8081", "http://localhost:8081"),
        ("http://[::1]:8081", "http://[::1]:8081"),
        ("http://192.168.1.7:8081", "http://192.168.1.7:8081"),
        ("http://8.8.8.8:8081", None),
        ("http://localhost.x.example:8081", None),
        ("http://bots:8081", None),
    ],
)
def test_where_the_server_is(tmp_path: Path, url: str, read: str | None) -> None:
    text = _CONFIG.format(settings=f"api_url: '{url}'")
    if read is None:
        with pytest.raises(ConfigError, match="api_url"):
            _settings(tmp_path, text)
    else:
        assert _settings(tmp_path, text) == TelegramSettings(api_url=ServerUrl(read))


def test_tokens_travel_in_clear_only_where_the_admin_says_so(tmp_path: Path) -> None:
    url = "http://bots.example.org:8081"
    with pytest.raises(ConfigError) as caught:
        _settings(tmp_path, _CONFIG.format(settings=f"api_url: '{url}'"))
    (problem,) = caught.value.problems
    assert problem.file == tmp_path / "config.yaml"
    assert problem.where == "networks.telegram.settings"
    assert problem.message.startswith("api_url: tokens of bots would travel to bots.example.org ")
    assert "expected https" in problem.message
    allowed = _settings(tmp_path, _CONFIG.format(settings=f"api_url: '{url}', tunnelled: true"))
    assert allowed == TelegramSettings(api_url=ServerUrl(url), tunnelled=True)


def test_where_files_are_on_the_disk(tmp_path: Path) -> None:
    """Relative to the configuration, as all paths are."""
    (tmp_path / "bots").mkdir()
    url = "http://127.0.0.1:8081"
    found = _settings(tmp_path, _CONFIG.format(settings=f"api_url: '{url}', local_files: bots"))
    bots = tmp_path / "bots"
    assert found == TelegramSettings(api_url=ServerUrl(url), local_files=bots)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("local_files: bots", "api_url the address of that server"),
        ("api_url: 'http://127.0.0.1:8081', local_files: nothing", "nothing is no directory"),
        ("api_url: 'http://127.0.0.1:8081', local_files: config.yaml", "yaml is no directory"),
    ],
)
def test_files_are_in_a_directory_of_a_server_of_ones_own(
    tmp_path: Path, settings: str, said: str
) -> None:
    (tmp_path / "bots").mkdir()
    with pytest.raises(ConfigError) as caught:
        _settings(tmp_path, _CONFIG.format(settings=settings))
    (problem,) = caught.value.problems
    assert problem.where == "networks.telegram.settings"
    assert problem.message.startswith("local_files: ")
    assert "expected the directory in which telegram-bot-api --local" in problem.message
    assert said in problem.message


_TOKEN = "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11"
_VARIABLE = "DRAGOMAN_NETWORKS_TELEGRAM_SETTINGS_RELAY_TOKEN"


@pytest.mark.parametrize(
    ("settings", "environ"),
    [
        (f"relay_token: '{_TOKEN}'", {}),
        ("relay_token_file: token", {}),
        ("", {_VARIABLE: _TOKEN}),
        ("", {f"{_VARIABLE}_FILE": "token"}),
    ],
)
def test_the_token_of_the_gateways_own_bot_is_a_secret(
    tmp_path: Path, settings: str, environ: dict[str, str]
) -> None:
    (tmp_path / "token").write_text(f"{_TOKEN}\n")
    found = _settings(tmp_path, _CONFIG.format(settings=settings), environ)
    assert found == TelegramSettings(relay_token=Secret(_TOKEN))
    assert "ABC-DEF" not in repr(found)


def test_what_is_no_token_is_said_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _settings(tmp_path, _CONFIG.format(settings=f"relay_token: '{_TOKEN} x'"))
    (problem,) = caught.value.problems
    assert problem.where == "networks.telegram.settings"
    assert problem.message.startswith("relay_token: no token of a bot; expected what @BotFather")
    assert "ABC-DEF1" not in str(problem)
