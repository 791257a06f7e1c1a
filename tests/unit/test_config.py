# SPDX-License-Identifier: Apache-2.0
"""The configuration file: what is read, and what is said about each mistake."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect

from adapters.matrix.settings import Homeserver, MatrixSettings
from gateway.config import (
    AccessEntry,
    BareJid,
    Config,
    Domain,
    Duration,
    Host,
    Secret,
    load_config,
)
from gateway.config.values import FromText, Size, SizeOrNone
from gateway.errors import ConfigError

ROOT = Path(__file__).parents[2]
SECRET = "hunter2-never-shown"

GOOD = """\
xmpp:
  server:
    domain: example.org
networks:
  matrix:
    adapter: plain
    domain: matrix.example.org
    secret: hunter2-never-shown
"""


class Realm(msgspec.Struct, frozen=True, kw_only=True):
    """A section within the settings of an adapter."""

    server: Host
    token: Secret | None = None


class RichSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings with every kind of field that a file may have."""

    homeserver: str
    as_token: Secret
    backup_token: Secret | None = None
    ratio: float = 0.5
    limit: Duration = Duration(1024)
    cache: Path = Path("cache")
    nick: str | None = None
    trusted: frozenset[Domain] = frozenset()
    order: list[str] = []
    limits: dict[str, Duration] = {}
    realms: dict[str, Realm] = {}

    def __post_init__(self) -> None:
        if self.homeserver == "none":
            raise ValueError("a homeserver is needed when there is no other")


class PlainSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing to set."""


class PlainAdapter:
    settings_type: ClassVar = PlainSettings


class MatrixLike:
    settings_type: ClassVar = MatrixSettings


class RichAdapter:
    settings_type: ClassVar = RichSettings


def missing_library() -> object:
    raise ModuleNotFoundError("No module named 'nio'", name="nio")


ADAPTERS = {
    "plain": lambda: PlainAdapter,
    "rich": lambda: RichAdapter,
    "matrix": lambda: MatrixLike,
    "broken": missing_library,
    "nonsense": lambda: object(),
}


def load(directory: Path, text: str, environ: dict[str, str] | None = None) -> Config:
    file = directory / "config.yaml"
    file.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
    return load_config(file, environ or {}, adapters=ADAPTERS)


def problems(directory: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    """Every problem as ``line: path: message``."""
    with pytest.raises(ConfigError) as caught:
        load(directory, text, environ)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in repr(caught.value.problems)
    return [
        str(problem).removeprefix(f"{directory}/config.yaml").removeprefix(":").strip()
        for problem in caught.value.problems
    ]


def only_problem(directory: Path, text: str, environ: dict[str, str] | None = None) -> str:
    (problem,) = problems(directory, text, environ)
    return problem


def good(**sections: str) -> str:
    """The good file with more top-level sections at its end."""
    return GOOD + "".join(f"{name}: {content}\n" for name, content in sections.items())


def rich(settings_text: str, **network: str) -> str:
    """A good file whose network has an adapter with settings, given in flow style."""
    more = "".join(f"    {key}: {value}\n" for key, value in network.items())
    return GOOD.replace("plain", "rich") + f"{more}    settings: {settings_text}\n"


# --- what is read ---------------------------------------------------------------------------


def test_defaults_are_completed(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)
    assert config.xmpp.server.local_domains == ("example.org",)
    assert config.access.allow == ("example.org",)
    assert config.store.database == tmp_path / "dragoman.db"
    assert config.store.key_file == tmp_path / "dragoman.db.key"
    assert config.networks[next(iter(config.networks))].name == "Plain"
    assert config.delivery.send_limit == Duration.parse("10m")
    assert config.delivery.attempt_limit == Duration.parse("2m")
    assert config.delivery.attempt_warning == Duration.parse("30s")
    assert config.delivery.alias_retention == Duration.parse("400d")
    assert load(tmp_path, good(rooms="{shown_members: 50}")).rooms.shown_speakers == 50


def test_the_servers_own_domain_is_local_whatever_else_is(tmp_path: Path) -> None:
    text = GOOD.replace("  server:\n", "  server:\n    local_domains: [example.net]\n")
    config = load(tmp_path, text)
    assert config.xmpp.server.local_domains == ("example.org", "example.net")
    assert config.access.allow == ("example.org", "example.net")


def test_empty_sections_and_lists_mean_the_defaults(tmp_path: Path) -> None:
    text = good(access="\n  allow:\n  deny:", store="", log="", delivery="")
    assert load(tmp_path, text) == load(tmp_path, GOOD)


def test_addresses_are_normalised(tmp_path: Path) -> None:
    config = load(tmp_path, good(access='{allow: ["*", Example.NET], admins: [Ann@Example.NET]}'))
    assert config.access.allow == ("*", "example.net")
    assert config.access.admins == ("ann@example.net",)


def test_req_113_where_the_admins_are_reached(tmp_path: Path) -> None:
    addresses = load(
        tmp_path,
        good(addresses="{abuse: ['mailto:a@example.org'], status: [https://example.org]}"),
    ).addresses
    assert addresses.abuse == ("mailto:a@example.org",)
    assert addresses.status == ("https://example.org",)
    assert addresses.support == ()


def test_key_file_follows_the_database(tmp_path: Path) -> None:
    config = load(tmp_path, good(store="{database: /var/lib/x.sqlite}"))
    assert config.store.key_file == Path("/var/lib/x.sqlite.key")


def test_paths_are_absolute_when_the_file_is_given_relatively(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(GOOD)
    config = load_config(Path("config.yaml"), {}, adapters=ADAPTERS)
    assert config.store.database == tmp_path / "dragoman.db"


def test_another_machine_is_allowed_through_a_tunnel(tmp_path: Path) -> None:
    server = "domain: example.org\n    host: prosody\n    tunnelled: true"
    config = load(tmp_path, GOOD.replace("domain: example.org", server))
    assert config.xmpp.server.host == "prosody"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", '"::1"', "localhost", "LocalHost"])
def test_loopback_hosts(tmp_path: Path, host: str) -> None:
    server = f"domain: example.org\n    host: {host}"
    config = load(tmp_path, GOOD.replace("domain: example.org", server))
    assert config.xmpp.server.host.is_loopback


@pytest.mark.parametrize(
    ("url", "path", "origin"),
    [
        ("https://chat.example.org", "", "https://chat.example.org"),
        ("https://example.org:443/a/b/", "/a/b", "https://example.org"),
        ("https://example.org:8443/chat", "/chat", "https://example.org:8443"),
        ("https://[2001:db8::1]/", "", "https://[2001:db8::1]"),
        ("", "", None),
    ],
)
def test_where_pages_are(tmp_path: Path, url: str, path: str, origin: str | None) -> None:
    http = load(tmp_path, good(http=f'{{public_url: "{url}", listen: "[::1]:80"}}')).http
    assert (http.listen.host, http.listen.port) == ("::1", 80)
    assert http.public_url.path == path
    assert not http.public_url.endswith("/")
    assert origin is None or http.public_url.origin == origin


def test_req_723_files_may_have_a_host_of_their_own(tmp_path: Path) -> None:
    pages, files = "https://chat.example.org", "https://files.example.org/chat"
    assert load(tmp_path, good(http=f"{{public_url: {pages}}}")).http.files_url == pages
    http = load(tmp_path, good(http=f"{{public_url: {pages}, files_url: {files}/}}")).http
    assert (http.public_url, http.files_url) == (pages, files)


def test_pages_for_a_container_network(tmp_path: Path) -> None:
    http = load(tmp_path, good(http='{listen: "0.0.0.0:8087", tunnelled: true}')).http
    assert (http.listen, http.public_url) == ("0.0.0.0:8087", "")


def test_settings_of_an_adapter(tmp_path: Path) -> None:
    text = (
        "{homeserver: h, as_token: t, ratio: 2, limit: 64s, nick: ~, trusted: [A.example],"
        " order: [b, a], limits: {x: 2h}, realms: {one: {server: irc.example, token: u}}}"
    )
    (network,) = load(tmp_path, rich(text)).networks.values()
    assert network.settings == RichSettings(
        homeserver="h",
        as_token=Secret("t"),
        ratio=2.0,
        limit=Duration(64),
        cache=tmp_path / "cache",
        trusted=frozenset({Domain("a.example")}),
        order=["b", "a"],
        limits={"x": Duration(7200)},
        realms={"one": Realm(server=Host("irc.example"), token=Secret("u"))},
    )


def test_a_byte_order_mark_and_windows_lines_are_harmless(tmp_path: Path) -> None:
    assert load(tmp_path, "\ufeff" + GOOD.replace("\n", "\r\n")) == load(tmp_path, GOOD)


# --- mistakes -------------------------------------------------------------------------------

DURATION = "expected a duration with its unit, such as 90s, 10m, 2h or 400d"
WHOLE = "expected a whole number in plain digits, at least 1"


def test_what_may_be_fetched_from_has_one_spelling(tmp_path: Path) -> None:
    allow = '["Files.Example.org", 10.1.0.7, "fd00::/8", "::1", 10.0.0.0/8]'
    config = load(tmp_path, GOOD + f"fetch: {{allow: {allow}, proxy: 'http://[::1]:8/'}}\n")
    assert config.fetch.allow == (
        "files.example.org", "10.1.0.7/32", "fd00::/8", "::1/128", "10.0.0.0/8"
    )  # fmt: skip
    assert [entry.network is None for entry in config.fetch.allow] == [True, *[False] * 4]
    assert config.fetch.proxy == "http://[::1]:8"
    assert config.fetch.max_size == 10**9


ENTRY = 'expected an exact domain, an address such as user@example.org, or "*" for everybody'
KEYS_OF_LOG = "the keys here are: format, level"

REACHABLE = "expected a host name, an IP address, or a network such as 192.168.0.0/24"
CACHE = "expected a size with its unit, such as 500MB or 2GB, or 0 for none"
PROXY = "expected the address of an HTTP proxy, such as http://127.0.0.1:3128"
SERVICE = "expected the domain of a service, such as upload.example.org"
PAGES = "expected an address such as https://chat.example.org or https://example.org/chat"
LISTEN = "expected an IP address and a port, such as 127.0.0.1:8087 or [::1]:8087"

MISTAKES = {
    "unknown section": (good(acces="{}"), '9: acces: unknown key; did you mean "access"?'),
    "unknown key": (
        good(log="{zebra: 1}"),
        f"9: log.zebra: unknown key; {KEYS_OF_LOG}",
    ),
    "near key": (good(log="{levle: info}"), '9: log.levle: unknown key; did you mean "level"?'),
    "key twice": (
        good(log="\n  level: info\n  level: info"),
        "11: log.level: given twice; first on line 10",
    ),
    "section twice": (good(networks="{}"), "9: networks: given twice; first on line 4"),
    "key is a list": (good(log="{[a]: b}"), "9: log: a key here is not a name"),
    "key without a value": (good(log="{level}"), "9: log: a key here has no value"),
    "key is a sentence": (good(log="{level info}"), "9: log: a key here is not a name"),
    "text for a section": (good(store="here"), "9: store: expected a section, found text"),
    "number for a section": (good(store="5"), "9: store: expected a section, found a number"),
    "list for a section": (good(store="[]"), "9: store: expected a section, found a list"),
    "section for a list": (
        good(access="{deny: {}}"),
        "9: access.deny: expected a list, found a section",
    ),
    "text for a list": (
        good(access="{deny: a.example}"),
        "9: access.deny: expected a list, found text",
    ),
    "list for a value": (
        good(log="{level: [info]}"),
        "9: log.level: expected one of debug, error, info, warning, found a list",
    ),
    "not one of the words": (
        good(log="{level: loud}"),
        '9: log.level: expected one of debug, error, info, warning, found "loud"',
    ),
    "nothing": (
        good(log="\n  level:"),
        "10: log.level: expected one of debug, error, info, warning, found nothing",
    ),
    "duration without a unit": (
        good(delivery="{send_limit: 10}"),
        f"9: delivery.send_limit: {DURATION}, found the number 10",
    ),
    "duration in words": (
        good(delivery="{send_limit: 10 minutes}"),
        f'9: delivery.send_limit: {DURATION}, found "10 minutes"',
    ),
    "no duration": (
        good(delivery="{send_limit: 0s}"),
        f'9: delivery.send_limit: {DURATION}, found "0s"',
    ),
    "zero": (
        good(delivery="{login_concurrency: 0}"),
        f"9: delivery.login_concurrency: {WHOLE}, found the number 0",
    ),
    "octal": (
        good(delivery="{login_concurrency: 010}"),
        f"9: delivery.login_concurrency: {WHOLE}, found the number 010",
    ),
    "fraction": (
        good(delivery="{login_concurrency: 1.5}"),
        f"9: delivery.login_concurrency: {WHOLE}, found the number 1.5",
    ),
    "quoted number": (
        good(delivery='{login_concurrency: "8"}'),
        f'9: delivery.login_concurrency: {WHOLE}, found "8"',
    ),
    "warning after the end": (
        good(delivery="{attempt_warning: 2m}"),
        "9: delivery.attempt_warning: must be shorter than delivery.attempt_limit",
    ),
    "a pattern of hosts": (
        good(fetch='{allow: ["*.example.org"]}'),
        f'9: fetch.allow[0]: {REACHABLE}, found "*.example.org"',
    ),
    "a network with a host in it": (
        good(fetch="{allow: [192.168.0.1/24]}"),
        f'9: fetch.allow[0]: {REACHABLE}, found "192.168.0.1/24"',
    ),
    "a host with a port": (
        good(fetch='{allow: ["a.example:443"]}'),
        f'9: fetch.allow[0]: {REACHABLE}, found "a.example:443"',
    ),
    "a proxy of another kind": (
        good(fetch='{proxy: "socks5://127.0.0.1:9050"}'),
        f'9: fetch.proxy: {PROXY}, found "socks5://127.0.0.1:9050"',
    ),
    "a proxy with a path": (
        good(fetch='{proxy: "http://127.0.0.1:3128/x"}'),
        f'9: fetch.proxy: {PROXY}, found "http://127.0.0.1:3128/x"',
    ),
    "a proxy without a port": (
        good(fetch='{proxy: "http://proxy.example"}'),
        f'9: fetch.proxy: {PROXY}, found "http://proxy.example"',
    ),
    "a service by its URL": (
        good(files="{upload_service: https://upload.example.org}"),
        f'9: files.upload_service: {SERVICE}, found "https://upload.example.org"',
    ),
    "a cache without a unit": (
        good(http="{file_cache: 100}"),
        f"9: http.file_cache: {CACHE}, found the number 100",
    ),
    "a size of nothing, where there has to be one": (
        good(fetch="{max_size: 0}"),
        f"9: fetch.max_size: expected {Size.expected}, found the number 0",
    ),
    "pages without encryption": (
        good(http="{public_url: http://example.org}"),
        f'9: http.public_url: {PAGES}, found "http://example.org"',
    ),
    "a host with an empty part": (
        good(http='{public_url: "https://a..b"}'),
        f'9: http.public_url: {PAGES}, found "https://a..b"',
    ),
    "no host": (
        good(http='{public_url: "https://."}'),
        f'9: http.public_url: {PAGES}, found "https://."',
    ),
    "a password in the address of pages": (
        good(http='{public_url: "https://a:b@example.org/?x"}'),
        f'9: http.public_url: {PAGES}, found "https://a:b@example.org/?x"',
    ),
    "files at the host of the pages": (
        good(http="{public_url: https://A.example, files_url: https://a.example:8443/files}"),
        (
            "9: http.files_url: a.example is the host of http.public_url; browsers keep files and "
            "logins apart only where each has a host of its own"
        ),
    ),
    "files without encryption": (
        good(http="{public_url: https://a.example, files_url: http://b.example}"),
        f'9: http.files_url: {PAGES}, found "http://b.example"',
    ),
    "an address of files alone": (
        good(http="{files_url: https://b.example}"),
        '9: http.files_url: there is nothing at it without "http.public_url"',
    ),
    "a host to listen at": (
        good(http='{listen: "localhost:80"}'),
        f'9: http.listen: {LISTEN}, found "localhost:80"',
    ),
    "no port to listen at": (
        good(http='{listen: "127.0.0.1"}'),
        f'9: http.listen: {LISTEN}, found "127.0.0.1"',
    ),
    "a port that there is not": (
        good(http='{listen: "127.0.0.1:65536"}'),
        f'9: http.listen: {LISTEN}, found "127.0.0.1:65536"',
    ),
    "pages for everybody in clear": (
        good(http='{listen: "0.0.0.0:8087"}'),
        (
            "9: http.listen: 0.0.0.0 can be reached from other machines, and passwords come to it "
            "without encryption; use 127.0.0.1, or protect the way from your web server to it and "
            'set "tunnelled: true"'
        ),
    ),
    "more occupants than a session is told of": (
        good(rooms="{shown_members: 1001}"),
        f"9: rooms.shown_members: {WHOLE} and at most 1000, found the number 1001",
    ),
    "more speakers than occupants": (
        good(rooms="{shown_members: 50, shown_speakers: 60}"),
        "9: rooms.shown_speakers: must not be more than rooms.shown_members",
    ),
    "attempt longer than all attempts": (
        good(delivery="{send_limit: 1m}"),
        "9: delivery.attempt_limit: must not be longer than delivery.send_limit",
    ),
    "ends itself too soon": (
        good(process="{stuck_limit: 5s}"),
        "9: process.stuck_limit: must be at least 10s; a busy disk takes seconds",
    ),
    "pattern": (
        good(access='{allow: ["*.example.org"]}'),
        f'9: access.allow[0]: {ENTRY}, found "*.example.org"',
    ),
    "nobody to ask": (
        good(access='{ask: ["*"]}'),
        '9: access.ask[0]: nobody could admit these users: "access.admins" is empty',
    ),
    "resource": (
        good(access="{admins: [ann@example.org/phone]}"),
        (
            "9: access.admins[0]: expected an address such as user@example.org, without a resource"
            ', found "ann@example.org/phone"'
        ),
    ),
    "address without a scheme": (
        good(addresses="{support: [help@example.org]}"),
        (
            "9: addresses.support[0]: expected an address such as mailto:help@example.org,"
            ' xmpp:help@example.org or https://example.org/help, found "help@example.org"'
        ),
    ),
    "script as an address": (
        good(addresses="{support: ['javascript:alert(1)']}"),
        (
            "9: addresses.support[0]: expected an address such as mailto:help@example.org,"
            ' xmpp:help@example.org or https://example.org/help, found "javascript:alert(1)"'
        ),
    ),
    "word that is a truth value": (
        GOOD + "    name: no\n",
        (
            "9: networks.matrix.name: expected text, found no, which YAML takes for true or false"
            "; put it in quotes"
        ),
    ),
    "quoted truth value": (
        good(xmpp='{server: {domain: a.example}, use_privileges: "yes"}').replace(
            "xmpp:\n  server:\n    domain: example.org\n", ""
        ),
        '6: xmpp.use_privileges: expected true or false, found "yes"',
    ),
    "control character": (
        GOOD + '    name: "a\\x07b"\n',
        '9: networks.matrix.name: characters that XMPP cannot carry: "a\\u{7}b"',
    ),
    "surrogate": (
        GOOD + '    name: "\\ud800"\n',
        '9: networks.matrix.name: characters that XMPP cannot carry: "\\u{d800}"',
    ),
    "empty path": (good(store="{database: ''}"), '9: store.database: expected a path, found ""'),
    "missing domain of the server": (
        GOOD.replace("    domain: example.org\n", "    port: 1\n"),
        "2: xmpp.server.domain: missing; expected a domain such as example.org",
    ),
    "bad domain": (
        GOOD.replace("matrix.example.org", "-x.example"),
        '7: networks.matrix.domain: expected a domain such as example.org, found "-x.example"',
    ),
    "port": (
        GOOD.replace("  server:\n", "  server:\n    port: 99999\n"),
        (
            "3: xmpp.server.port: expected a whole number in plain digits, at least 1 and at most "
            "65535, found the number 99999"
        ),
    ),
    "unencrypted link": (
        GOOD.replace("  server:\n", "  server:\n    host: 192.0.2.1\n"),
        (
            "3: xmpp.server.host: 192.0.2.1 is another machine, and the link to the server is not "
            'encrypted; use 127.0.0.1, or protect the link yourself and set "tunnelled: true"'
        ),
    ),
    "host with a port": (
        GOOD.replace("  server:\n", "  server:\n    host: localhost:5347\n"),
        '3: xmpp.server.host: expected a host name or an IP address, found "localhost:5347"',
    ),
    "domain of the server": (
        GOOD.replace("matrix.example.org", "Example.org"),
        (
            "7: networks.matrix.domain: example.org is already the domain of the server; "
            "a component needs its own domain"
        ),
    ),
    "local domain": (
        GOOD.replace(
            "  server:\n", "  server:\n    local_domains: [example.org, matrix.example.org]\n"
        ),
        (
            "8: networks.matrix.domain: matrix.example.org is already a domain of the server; "
            "a component needs its own domain"
        ),
    ),
    "same domain twice": (
        GOOD + "  two: {adapter: plain, domain: matrix.example.org, secret: x}\n",
        (
            "9: networks.two.domain: matrix.example.org is already the domain of networks.matrix; "
            "a component needs its own domain"
        ),
    ),
    "name of a network": (
        GOOD.replace("matrix:", "Matrix_1:"),
        "5: networks.Matrix_1: a network's name has only a-z, 0-9 and -, and begins with a letter",
    ),
    "network is text": (
        GOOD + f"  irc: secret:{SECRET}\n",
        "9: networks.irc: expected a section, found text (is a space missing after the colon?)",
    ),
    "no networks": (
        GOOD.partition("networks")[0],
        "networks: missing; expected at least one network",
    ),
    "unknown adapter": (
        GOOD.replace("plain", "plane"),
        '6: networks.matrix.adapter: there is no adapter "plane"; did you mean "plain"?',
    ),
    "far adapter": (
        GOOD.replace("plain", "xyz"),
        (
            '6: networks.matrix.adapter: there is no adapter "xyz"; '
            "installed are: broken, matrix, nonsense, plain, rich"
        ),
    ),
    "adapter without its library": (
        GOOD.replace("plain", "broken"),
        (
            '6: networks.matrix.adapter: the adapter "broken" cannot be loaded '
            "(No module named 'nio'); install what it needs, "
            'from the checkout: pip install ".[broken]"'
        ),
    ),
    "entry point without an adapter": (
        GOOD.replace("plain", "nonsense"),
        (
            '6: networks.matrix.adapter: the entry point of "nonsense" does not lead to an '
            "adapter class"
        ),
    ),
    "no adapter": (
        GOOD.replace("    adapter: plain\n", ""),
        "5: networks.matrix.adapter: missing; expected text",
    ),
    "secret is a number": (
        GOOD.replace(SECRET, "12345678"),
        "8: networks.matrix.secret: expected text, found a number; put it in quotes",
    ),
    "secret is a list": (
        GOOD.replace(SECRET, f"[{SECRET}]"),
        "8: networks.matrix.secret: expected text, found a list",
    ),
    "empty secret": (
        GOOD.replace(SECRET, '""'),
        "8: networks.matrix.secret: the secret is empty",
    ),
    "secret with control characters": (
        GOOD.replace(SECRET, f'"{SECRET}\\0"'),
        "8: networks.matrix.secret: the secret has characters that are not text",
    ),
    "missing secret": (
        GOOD.replace(f"    secret: {SECRET}\n", ""),
        (
            '5: networks.matrix.secret: missing; give it as "secret", as "secret_file" (a path), '
            "or by the environment variable DRAGOMAN_NETWORKS_MATRIX_SECRET or "
            "DRAGOMAN_NETWORKS_MATRIX_SECRET_FILE"
        ),
    ),
    "secret in two places": (
        GOOD + f"    secret_file: {SECRET}\n",
        '8: networks.matrix.secret: given by "secret" and by "secret_file"; keep one of them',
    ),
    "setting of an adapter": (
        rich("{homeserver: h, as_token: t, rato: 1}"),
        '9: networks.matrix.settings.rato: unknown key; did you mean "ratio"?',
    ),
    "adapter's own check": (
        rich("{homeserver: none, as_token: t}"),
        "9: networks.matrix.settings: a homeserver is needed when there is no other",
    ),
    "value of an adapter": (
        rich("{homeserver: h, as_token: t, limit: 5}"),
        f"9: networks.matrix.settings.limit: {DURATION}, found the number 5",
    ),
    "infinity": (
        rich("{homeserver: h, as_token: t, ratio: .inf}"),
        (
            "9: networks.matrix.settings.ratio: expected a number in plain digits, "
            "found the number .inf"
        ),
    ),
    "entry of a table": (
        rich("{homeserver: h, as_token: t, limits: {a: 1h, b: 2}}"),
        f"9: networks.matrix.settings.limits.b: {DURATION}, found the number 2",
    ),
    "missing key of a nested section": (
        rich("{homeserver: h, as_token: t, realms: {one: {}}}"),
        (
            "9: networks.matrix.settings.realms.one.server: missing; expected a host name or an "
            "IP address"
        ),
    ),
    "long text is shortened": (
        good(log="{level: " + "x" * 200 + "}"),
        '9: log.level: expected one of debug, error, info, warning, found "' + "x" * 80 + '…"',
    ),
    "a list": ("[]\n", "expected a section, found a list"),
    "YAML syntax": (
        "xmpp: {\n",
        "2: is not valid YAML: expected the node content, but found '<stream end>'",
    ),
    "two documents": (
        "a: 1\n---\nb: 1\n",
        "2: is not valid YAML: but found another document",
    ),
    "alias": (f"a: *{SECRET}\n", "1: is not valid YAML: found undefined alias …"),
    "escape": ('a: "\\Uffffffff"\n', "is not valid YAML: an escape or a number is out of range"),
    "raw control character": ("a: 1\nb: \x01\n", "2: is not valid YAML: a control character"),
    "depth": ("[" * 5000, "is nested too deeply"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake(tmp_path: Path, mistake: str) -> None:
    text, expected = MISTAKES[mistake]
    assert only_problem(tmp_path, text) == expected


def test_all_mistakes_are_reported_at_once_and_by_line(tmp_path: Path) -> None:
    text = f"""\
xmpp:
  server:
    host: 10.0.0.5
    prot: 5347
    port: 99999
    domain: "bad domain"
  use_privileges: "yes"
acces:
  allow: []
store: here
delivery:
  send_limit: 10
  attempt_warning: 30 minutes
log:
  level: loud
  level: info
networks:
  matrix:
    adapter: plian
    domain: matrix.example.org
    secrt: {SECRET}
    name: no
  irc:
    adapter: broken
    domain: matrix.example.org
    secret: 12345678
  Bad_Name: {SECRET}
"""
    found = [problem.split(": ")[:2] for problem in problems(tmp_path, text)]
    assert found == [
        ["3", "xmpp.server.host"],
        ["4", "xmpp.server.prot"],
        ["5", "xmpp.server.port"],
        ["6", "xmpp.server.domain"],
        ["7", "xmpp.use_privileges"],
        ["8", "acces"],
        ["10", "store"],
        ["12", "delivery.send_limit"],
        ["13", "delivery.attempt_warning"],
        ["15", "log.level"],
        ["16", "log.level"],
        ["18", "networks.matrix.secret"],
        ["19", "networks.matrix.adapter"],
        ["21", "networks.matrix.secrt"],
        ["22", "networks.matrix.name"],
        ["24", "networks.irc.adapter"],
        ["25", "networks.irc.domain"],
        ["26", "networks.irc.secret"],
        ["27", "networks.Bad_Name"],
        ["27", "networks.Bad_Name"],
    ]


def test_an_empty_file_names_all_that_is_required(tmp_path: Path) -> None:
    assert problems(tmp_path, "") == [
        "xmpp.server.domain: missing; expected a domain such as example.org",
        "networks: missing; expected at least one network",
    ]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("Example.org", "example.org"),
        ("matrix.example.org:8448", "matrix.example.org:8448"),
        ("HTTPS://Matrix.Example.org:443/", "https://matrix.example.org"),
        ("http://192.168.0.7:8008", "http://192.168.0.7:8008"),
    ],
)
def test_homeservers_are_trusted_in_one_spelling(
    tmp_path: Path, typed: str, expected: str
) -> None:
    text = GOOD.replace("plain", "matrix")
    config = load(tmp_path, f"{text}    settings: {{trusted_homeservers: ['{typed}']}}\n")
    (network,) = config.networks.values()
    assert network.settings == MatrixSettings(trusted_homeservers=(Homeserver(expected),))


@pytest.mark.parametrize("typed", ["*", "*.example.org", "@bob:example.org", "", "ftp://hs.org"])
def test_only_a_homeserver_can_be_trusted(tmp_path: Path, typed: str) -> None:
    text = GOOD.replace("plain", "matrix")
    found = f"{text}    settings: {{trusted_homeservers: ['hs.org', '{typed}']}}\n"
    assert only_problem(tmp_path, found) == (
        "9: networks.matrix.settings.trusted_homeservers[1]: expected a server name such as "
        f'example.org, or the URL of a homeserver without one, found "{typed}"'
    )


def test_settings_left_out_are_checked_too(tmp_path: Path) -> None:
    paths = [
        problem.split(": ")[1] for problem in problems(tmp_path, GOOD.replace("plain", "rich"))
    ]
    assert paths == [
        "networks.matrix.settings.homeserver",
        "networks.matrix.settings.as_token",
    ]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file"):
        load_config(tmp_path / "none.yaml", {})


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(ConfigError, match=r":2: is not UTF-8 text"):
        load_config(tmp_path / "config.yaml", {})


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o400, 0o700])
def test_key_file_with_another_mode(tmp_path: Path, mode: int) -> None:
    key = tmp_path / "dragoman.db.key"
    key.touch()
    key.chmod(mode)
    assert only_problem(tmp_path, GOOD) == (
        f"store.key_file: {key} has mode {mode:04o}, expected 0600; run: chmod 600 {key}"
    )


def test_key_file_with_the_right_mode(tmp_path: Path) -> None:
    (tmp_path / "dragoman.db.key").touch(mode=0o600)
    load(tmp_path, GOOD)


def test_key_file_is_a_directory(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    assert only_problem(tmp_path, good(store="{key_file: x}")) == (
        f"9: store.key_file: {tmp_path / 'x'} is not a file"
    )


def test_key_file_below_a_file(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, good(store="{key_file: config.yaml/key}"))
    assert problem.endswith("config.yaml/key cannot be used: Not a directory")


# --- secrets --------------------------------------------------------------------------------

VARIABLE = "DRAGOMAN_NETWORKS_MATRIX_SECRET"
WITHOUT_SECRET = GOOD.replace(f"    secret: {SECRET}\n", "")


def secret_of(config: Config) -> str:
    (network,) = config.networks.values()
    return network.secret.reveal()


def test_secret_from_each_place(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("from a file\n")
    with_file = WITHOUT_SECRET + "    secret_file: s\n"
    assert secret_of(load(tmp_path, GOOD)) == SECRET
    assert secret_of(load(tmp_path, with_file)) == "from a file"
    assert secret_of(load(tmp_path, WITHOUT_SECRET, {VARIABLE: "env"})) == "env"
    assert secret_of(load(tmp_path, WITHOUT_SECRET, {f"{VARIABLE}_FILE": "s"})) == "from a file"


def test_secret_of_an_adapter_from_the_environment(tmp_path: Path) -> None:
    environ = {"DRAGOMAN_NETWORKS_MATRIX_SETTINGS_AS_TOKEN": "env"}
    (network,) = load(tmp_path, rich("{homeserver: h}"), environ).networks.values()
    assert isinstance(network.settings, RichSettings)
    assert network.settings.as_token.reveal() == "env"
    assert network.settings.backup_token is None


def test_an_empty_variable_counts_as_absent(tmp_path: Path) -> None:
    assert secret_of(load(tmp_path, GOOD, {VARIABLE: "", f"{VARIABLE}_FILE": ""})) == SECRET


@pytest.mark.parametrize("suffix", ["", "_FILE"])
def test_secret_in_file_and_environment(tmp_path: Path, suffix: str) -> None:
    assert only_problem(tmp_path, GOOD, {VARIABLE + suffix: SECRET}) == (
        f'8: networks.matrix.secret: given by "secret" and by {VARIABLE}{suffix}; keep one of them'
    )


def test_secret_file_that_cannot_be_read(tmp_path: Path) -> None:
    text = WITHOUT_SECRET + f"    secret_file: {SECRET}\n"
    assert only_problem(tmp_path, text) == (
        "8: networks.matrix.secret_file: the secret's file cannot be read: "
        f"No such file or directory (relative paths start at {tmp_path})"
    )


def test_secret_file_whose_name_is_impossible(tmp_path: Path) -> None:
    text = WITHOUT_SECRET + f'    secret_file: "{SECRET}\\0"\n'
    assert "its name is not usable" in only_problem(tmp_path, text)


def test_secret_file_that_is_empty_or_not_text(tmp_path: Path) -> None:
    text = WITHOUT_SECRET + "    secret_file: s\n"
    (tmp_path / "s").write_bytes(b"\n")
    assert only_problem(tmp_path, text) == "8: networks.matrix.secret_file: the secret is empty"
    (tmp_path / "s").write_bytes(SECRET.encode() + b"\xff")
    assert only_problem(tmp_path, text) == (
        "8: networks.matrix.secret_file: the secret's file is not UTF-8 text"
    )


def test_a_variable_never_reaches_two_secrets(tmp_path: Path) -> None:
    text = rich("{homeserver: h, as_token: t, realms: {a-b: {server: x}, a_b: {server: y}}}")
    variable = "DRAGOMAN_NETWORKS_MATRIX_SETTINGS_REALMS_A_B_TOKEN"
    load(tmp_path, text)
    assert only_problem(tmp_path, text, {variable: SECRET}) == (
        f"9: networks.matrix.settings.realms.a_b.token: {variable} means "
        "networks.matrix.settings.realms.a-b.token as well; write it into the file"
    )


def test_secret_hides_itself() -> None:
    secret = Secret(SECRET)
    assert SECRET not in f"{secret} {secret!r} {[secret]} {secret:}"
    assert secret.reveal() == SECRET
    assert secret == Secret(SECRET)
    assert hash(secret) == hash(Secret(SECRET))
    assert secret != Secret("x")
    assert secret != SECRET
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)


def test_secret_is_not_in_the_repr_of_the_tree(tmp_path: Path) -> None:
    assert SECRET not in repr(load(tmp_path, GOOD))


# --- values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "text", "value"),
    [
        (Duration, "90s", 90),
        (Duration, "10m", 600),
        (Duration, "2 h", 7200),
        (Duration, "400d", 34560000),
        (SizeOrNone, "0", 0),
        (SizeOrNone, "2GB", 2_000_000_000),
        (Domain, "Münster.Example", "münster.example"),
        (Domain, "localhost", "localhost"),
        (BareJid, "Ann.Lee@Example.org", "ann.lee@example.org"),
        (AccessEntry, "*", "*"),
        (Host, "my_container", "my_container"),
        (Host, "::1", "::1"),
    ],
)
def test_value(cls: type[FromText], text: str, value: object) -> None:
    assert cls.parse(text) == value
    assert type(cls.parse(text)) is cls


@pytest.mark.parametrize(
    ("cls", "text"),
    [
        *((Duration, text) for text in ["", "10", "m", "-1s", "0s", "1.5h", "1S", "1h30m", "²s"]),
        *((SizeOrNone, text) for text in ["", "1", "00", "0MB", "-1MB", "1mb", "1.5GB"]),
        *((Domain, text) for text in ["", ".", "a.", ".a", "a..b", "a b", "a/b", "-a", "a_b"]),
        *(
            (Domain, text)
            for text in ["x" * 64, ".".join(["x" * 60] * 20), "a@b", "*.a", "\ud800"]
        ),
        *((BareJid, text) for text in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b/c", "a/b@c"]),
        *((BareJid, text) for text in ["x" * 1024 + "@a", "<a>@b"]),
        *((AccessEntry, text) for text in ["", "*@example.org", "*.example.org", "**"]),
        *((Host, text) for text in ["", "a:1", "http://a", "[::1]", "a b", "é"]),
    ],
)
def test_no_value(cls: type[FromText], text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the caller says what was expected
        cls.parse(text)


# --- any file at all ------------------------------------------------------------------------

WORDS = (
    "xmpp server host port domain local_domains access allow networks matrix adapter secret << "
    "secret_file settings homeserver as_token realms store database key_file log level"
)
KEYS = st.sampled_from(WORDS.split())
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.dates(),
    st.sampled_from(["plain", "rich", "broken", "example.org", "10m", "*", "info"]),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(KEYS, KEYS, SCALARS), inner, max_size=6),
    ),
    max_leaves=20,
)
PIECES = [
    *"-:{}[],&*!|>'\"%@`#?~\t\n ",
    *("\n  ", ": ", "- ", "&a ", "*a", "<<: ", "---\n", "...\n", "=", "2001-01-01"),
    *("!!int ", "!!bool ", "!!str ", "!x ", "xmpp", "networks", "0x_", "1:60", "._", ".inf"),
    *("%YAML 1.1\n", "\\x", "\ud800", "\x00", "\x85", "\ufeff"),
]
TOKENS = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


def message_of(directory: Path, text: str) -> str:
    """What is said about a file; nothing if it is good. Anything but `ConfigError` gets out."""
    try:
        load(directory, text)
    except ConfigError as error:
        return str(error)
    return ""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES)
def test_any_tree(tmp_path: Path, tree: object) -> None:
    message = message_of(tmp_path, yaml.safe_dump(tree))
    assert message.replace("\n", "").isprintable()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.text(), TOKENS, TOKENS.map(lambda tail: GOOD + tail)))
def test_any_text(tmp_path: Path, text: str) -> None:
    message = message_of(tmp_path, text)
    assert message.replace("\n", "").isprintable()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_never_shows_a_secret(tmp_path: Path, data: st.DataObject) -> None:
    lines = rich(f"{{homeserver: h, as_token: {SECRET}}}").splitlines()
    index = data.draw(st.integers(0, len(lines) - 1))
    before, _, after = lines[index].partition(SECRET)
    junk = data.draw(st.text("abc:-_ {}[],&*!'\"#|>\n", max_size=4))
    hidden = SECRET if SECRET in lines[index] else ""
    lines[index] = data.draw(
        st.sampled_from([before + junk + hidden + after, junk + lines[index], lines[index] + junk])
    )
    assert SECRET not in message_of(tmp_path, "\n".join(lines))


# --- the example and the documentation ------------------------------------------------------

EXAMPLE = ROOT / "config.example.yaml"


def struct_fields(cls: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    return info.fields


def without_defaults(section: dict[str, Any], cls: type[msgspec.Struct]) -> dict[str, Any]:
    """What is left of a section when all that has a default goes. Asserts that no key lacks."""
    fields = {field.encode_name: field for field in struct_fields(cls)}
    assert set(section) == set(fields)
    required = {}
    for key, value in section.items():
        info = fields[key].type
        if isinstance(info, inspect.StructType) and info.cls is not msgspec.Struct:
            required[key] = without_defaults(value, info.cls)
        elif isinstance(info, inspect.DictType):
            assert isinstance(info.value_type, inspect.StructType)
            inner = info.value_type.cls
            required[key] = {name: without_defaults(v, inner) for name, v in value.items()}
        elif fields[key].required and key != "settings":
            required[key] = value
    return required


def test_the_example_has_every_key_with_its_default(tmp_path: Path) -> None:
    required = without_defaults(yaml.safe_load(EXAMPLE.read_text()), Config)
    assert set(required["networks"]["matrix"]) == {"adapter", "domain", "secret"}
    adapters = {"matrix": lambda: PlainAdapter}
    minimal, example = tmp_path / "minimal.yaml", tmp_path / "example.yaml"
    minimal.write_text(yaml.safe_dump(required))
    example.write_text(EXAMPLE.read_text())
    assert load_config(example, {}, adapters=adapters) == load_config(
        minimal, {}, adapters=adapters
    )


def commented_settings() -> str:
    """The settings of Matrix that the example shows, as the lines they become without the `#`."""
    lines = re.findall(r"^ {6}# ([a-z_]+: .+)$", EXAMPLE.read_text(), re.MULTILINE)
    return "".join(f"      {line}\n" for line in lines)


def test_the_example_shows_every_setting_of_matrix_with_its_default(tmp_path: Path) -> None:
    shown = yaml.safe_load(commented_settings())
    assert list(shown) == [field.encode_name for field in struct_fields(MatrixSettings)]
    text = EXAMPLE.read_text().replace("settings: {}\n", f"settings:\n{commented_settings()}")
    file = tmp_path / "config.yaml"
    file.write_text(text)
    config = load_config(file, {}, adapters={"matrix": lambda: MatrixLike})
    (network,) = config.networks.values()
    assert network.settings == MatrixSettings()


def test_the_documentation_has_every_key() -> None:
    text = (ROOT / "docs/admin/configuration.md").read_text()
    documented = set(re.findall(r"^\| `([a-z_.]+)`", text, re.MULTILINE))
    example = yaml.safe_load(EXAMPLE.read_text())
    keys = {f"server.{key}" for key in example["xmpp"].pop("server")}
    keys.update(example.pop("networks")["matrix"])
    sections = {key: value for key, value in example.items() if isinstance(value, dict)}
    keys.update(example.keys() - sections.keys(), *sections.values())
    keys.update(f"settings.{key}" for key in yaml.safe_load(commented_settings()))
    assert documented == keys
