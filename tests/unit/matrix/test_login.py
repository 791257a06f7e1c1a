"""Finding the homeserver, and what may go wrong while logging in."""

import asyncio
import json
from functools import partial
from typing import Any

import aiohttp
import pytest

from adapters.matrix import MatrixAdapter, MatrixSettings
from adapters.matrix.discovery import base_url_of
from adapters.matrix.guard import checked_url
from adapters.matrix.http import Answer, Fetched
from adapters.matrix.login import Credentials, MatrixLogin
from gateway.adapter import Linked, LoginStep, Relogin
from gateway.errors import (
    AdapterError,
    BadLogin,
    Forbidden,
    RateLimited,
    Transient,
)
from gateway.ids import RemoteUserId
from tests.unit.matrix.homeserver import Handler, misbehaving
from tests.unit.matrix.memory import MemoryNetwork

WELL_KNOWN = "https://example.org/.well-known/matrix/client"


def _found(base_url: Any) -> Fetched:
    body = json.dumps({"m.homeserver": {"base_url": base_url}})
    return Fetched(200, {}, body.encode())


def _moved(target: str) -> Fetched:
    return Fetched(302, {"Location": target}, b"")


async def _discover(pages: dict[str, Fetched], name: str = "example.org") -> str:
    async def fetch(url: str) -> Fetched:
        if url not in pages:
            raise Transient("unreachable")
        return pages[url]

    return await base_url_of(name, fetch, partial(checked_url, settings=MatrixSettings()))


@pytest.mark.parametrize(
    ("pages", "base"),
    [
        ({WELL_KNOWN: _found("https://matrix.example.org/")}, "https://matrix.example.org"),
        ({WELL_KNOWN: _found("https://hs.example.net:443/x/")}, "https://hs.example.net/x"),
        ({WELL_KNOWN: Fetched(404, {}, b"")}, "https://example.org"),
        ({}, "https://example.org"),
        ({WELL_KNOWN: _moved("/other"), "https://example.org/other": _found("https://hs.org")},
         "https://hs.org"),
    ],
)  # fmt: skip
async def test_discovery(pages: dict[str, Fetched], base: str) -> None:
    assert await _discover(pages) == base


@pytest.mark.parametrize(
    "page",
    [
        Fetched(500, {}, b""),
        Fetched(200, {}, b"<html>Welcome</html>"),
        Fetched(200, {}, b"[]"),
        Fetched(200, {}, b"{}"),
        Fetched(200, {}, b'{"m.homeserver": "x"}'),
        Fetched(200, {}, b"[" * 50_000),
        _found(5),
        _found(""),
        _found("matrix.example.org"),
        _found("http://matrix.example.org"),
        _moved("ftp://example.org"),
        _moved(WELL_KNOWN),
    ],
)
async def test_discovery_that_fails_asks_for_the_homeserver(page: Fetched) -> None:
    with pytest.raises(BadLogin) as caught:
        await _discover({WELL_KNOWN: page})
    assert caught.value.field == "homeserver"


async def test_discovery_cannot_lead_into_a_private_network() -> None:
    with pytest.raises(Forbidden, match="private network"):
        await _discover({WELL_KNOWN: _found("https://192.168.0.1")})
    pages = {WELL_KNOWN: _moved("https://10.0.0.1/x"), "https://10.0.0.1/x": _found("https://a.b")}
    assert await _discover(pages) == "https://example.org"


@pytest.mark.parametrize(
    ("name", "asked"), [("example.org:8448", "example.org"), ("[2a00::1]:8448", "[2a00::1]")]
)
async def test_discovery_asks_without_the_port(name: str, asked: str) -> None:
    url = f"https://{asked}/.well-known/matrix/client"
    assert await _discover({url: _found("https://hs.org")}, name) == "https://hs.org"
    assert await _discover({}, name) == f"https://{name}"


@pytest.mark.parametrize(
    "host",
    ["127.1", "2130706433", "0", "0x7f.1", "0x7f000001", "0X7F.0.0.1", "017700000001",
     "127.0.0.01", "127.0.0.1.", "example.org.", "localhost.", "1.2.3.4.5", "8.8.8", "0x",
     "example.1", "[fe80::1%25eth0]", "[2a00::1%25eth0]", "[2a00::1%eth0]",
     "\uff11\uff12\uff17.0.0.1"],
)  # fmt: skip
def test_odd_hosts_are_refused_whatever_is_allowed(host: str) -> None:
    allowed = MatrixSettings(allow_private_homeservers=True, allow_insecure_homeservers=True)
    with pytest.raises(BadLogin):
        checked_url(f"https://{host}/", allowed)


@pytest.mark.parametrize(
    "host",
    ["[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::FFFF:10.0.0.1]", "[0:0:0:0:0:ffff:7f00:1]",
     "[::127.0.0.1]", "[64:ff9b::10.0.0.1]", "[::]", "a.localhost"],
)  # fmt: skip
def test_mapped_and_local_hosts_are_private(host: str) -> None:
    with pytest.raises(Forbidden, match="private network"):
        checked_url(f"https://{host}", MatrixSettings())


@pytest.mark.parametrize(
    "host", ["8.8.8.8", "[2a00:1450::1]", "1.example.org", "0x7f.org", "1und1.de", "0xabcg"]
)
def test_names_with_digits_and_public_addresses_are_taken(host: str) -> None:
    assert checked_url(f"https://{host}", MatrixSettings()) == f"https://{host}"


@pytest.mark.parametrize(
    ("typed", "settings", "expected"),
    [
        ("https://HS.example.org:443/", {}, "https://hs.example.org"),
        ("https://hs.example.org:8448", {}, "https://hs.example.org:8448"),
        ("http://hs.example.org", {}, BadLogin),
        ("http://hs.example.org", {"allow_insecure_homeservers": True}, "http://hs.example.org"),
        ("http://localhost:8008", {}, Forbidden),
        ("http://localhost:8008", {"allow_private_homeservers": True}, "http://localhost:8008"),
        ("https://[::1]:8448", {}, Forbidden),
        ("https://[::1]:8448", {"allow_private_homeservers": True}, "https://[::1]:8448"),
        ("https://user:pw@hs.org", {}, BadLogin),
        ("file:///etc/passwd", {}, BadLogin),
        ("https://", {}, BadLogin),
        ("https://hs.org/a b", {}, BadLogin),
        ("https://hs.org\\@127.0.0.1", {}, BadLogin),
        ("https://bücher.example/x/", {}, "https://xn--bcher-kva.example/x"),
        ("https://[", {}, BadLogin),
        ("https://hs.org:99999", {}, BadLogin),
    ],
)
def test_checked_urls(typed: str, settings: dict[str, bool], expected: Any) -> None:
    made = MatrixSettings(**settings)  # type: ignore[arg-type]
    if isinstance(expected, str):
        assert checked_url(typed, made) == expected
    else:
        with pytest.raises(expected):
            checked_url(typed, made)


# --- logging in ---------------------------------------------------------------------------------

GOOD: dict[str, Handler] = {
    "versions": lambda _: (200, {"versions": ["v1.1"]}),
    "login": lambda asked: (
        (200, {"flows": [{"type": "m.login.password"}]})
        if asked.method == "GET"
        else (200, {"user_id": "@bob:localhost", "device_id": "D", "access_token": "T"})
    ),
    "whoami": lambda _: (200, {"user_id": "@bob:localhost"}),
    "logout": lambda _: (200, {}),
}


def _refused(status: int, code: str) -> Handler:
    return lambda asked: GOOD["login"](asked) if asked.method == "GET" else (
        status, {"errcode": code, "error": "No"}
    )  # fmt: skip


def _answers(answer: Any) -> Handler:
    return lambda asked: GOOD["login"](asked) if asked.method == "GET" else (200, answer)


async def _log_in(handlers: dict[str, Handler], **answers: str) -> Linked:
    async with misbehaving(**{**GOOD, **handlers}) as server, aiohttp.ClientSession() as http:
        login = MatrixAdapter(MemoryNetwork(http)).login()
        typed = {"homeserver": server.url, "username": "bob", "password": "p", **answers}
        linked = await login.submit(typed)
        assert isinstance(linked, Linked)
        assert linked.realm == server.url
        return linked


async def test_login_with_what_nio_makes_of_it() -> None:
    assert (await _log_in({})).remote_id == "@bob:localhost"


@pytest.mark.parametrize(
    ("handlers", "kind", "field"),
    [
        ({"login": _refused(403, "M_FORBIDDEN")}, BadLogin, "password"),
        ({"login": _refused(400, "M_INVALID_USERNAME")}, BadLogin, "username"),
        ({"login": _refused(400, "M_UNKNOWN")}, BadLogin, None),
        ({"login": _refused(403, "M_USER_DEACTIVATED")}, Forbidden, None),
        ({"login": _refused(429, "M_LIMIT_EXCEEDED")}, RateLimited, None),
        ({"login": _refused(500, "M_UNKNOWN")}, Transient, None),
        ({"login": _answers({"user_id": "@bob:hs"})}, Transient, None),
        ({"login": _answers({"user_id": 5, "device_id": [], "access_token": {}})},
         Transient, None),
        ({"login": lambda _: (200, {"flows": [{"type": "m.login.sso"}]})}, BadLogin, "method"),
        ({"login": lambda _: (200, {"flows": "odd"})}, BadLogin, "method"),
        ({"versions": lambda _: (200, {"versions": "odd"})}, BadLogin, "homeserver"),
        ({"versions": lambda _: (404, {"errcode": "M_NOT_FOUND"})}, BadLogin, "homeserver"),
        ({"versions": lambda _: (502, {})}, BadLogin, "homeserver"),
        ({"whoami": lambda _: (200, {"user_id": "@eve:hs"})}, Transient, None),
    ],
)  # fmt: skip
async def test_login_failures(
    handlers: dict[str, Handler], kind: type[AdapterError], field: str | None
) -> None:
    with pytest.raises(kind) as caught:
        await _log_in(handlers)
    assert type(caught.value) is kind
    assert getattr(caught.value, "field", None) == field


@pytest.mark.parametrize(
    ("name", "says", "proven"),
    [
        ("example.org", "here", True),
        ("Example.org", "here", True),
        ("example.org", "https://matrix.example.org", False),
        ("example.org", None, False),
        ("127.1", "here", False),
    ],
)
async def test_the_realm_is_the_server_name_if_that_server_agrees(
    name: str, says: str | None, proven: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = f"@bob:{name}"
    answer = {"user_id": user_id, "device_id": "D", "access_token": "T"}
    handlers: dict[str, Handler] = {
        **GOOD,
        "login": _answers(answer),
        "whoami": lambda _: (200, {"user_id": user_id}),
    }
    async with misbehaving(**handlers) as server, aiohttp.ClientSession() as http:

        async def fetch(_: MatrixLogin, url: str) -> Fetched:
            if url != WELL_KNOWN or says is None:
                raise Transient("unreachable")
            return _found(server.url if says == "here" else says)

        monkeypatch.setattr(MatrixLogin, "_fetch", fetch)
        login = MatrixAdapter(MemoryNetwork(http)).login()
        typed = {"homeserver": server.url, "username": "bob", "password": "p"}
        linked = await login.submit(typed)
        assert isinstance(linked, Linked)
        assert linked.realm == ("example.org" if proven else server.url)
        assert linked.remote_id == user_id


async def test_the_realm_of_a_homeserver_under_its_own_name() -> None:
    class Login(MatrixLogin):
        async def _fetch(self, url: str) -> Fetched:
            return Fetched(404, {}, b"")

    login = Login(None, MatrixSettings())  # type: ignore[arg-type]
    for base, realm in [
        ("https://hs.org", "hs.org"),
        ("https://hs.org/~eve", "https://hs.org/~eve"),
        ("https://hs.org:8448", "https://hs.org:8448"),
    ]:
        made = Credentials(homeserver=base, user_id="@bob:hs.org", device_id="D", access_token="T")
        assert await login._realm(made) == realm


@pytest.mark.parametrize("hangs", ["_base_url", "_validate", "_log_in", "_realm", "logout"])
async def test_a_homeserver_that_hangs_ends_in_time(
    hangs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: object, **__: object) -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr("adapters.matrix.login._LOGIN_S", 1.0)
    monkeypatch.setattr("adapters.matrix.login._LOG_OUT_S", 0.1)
    monkeypatch.setattr("adapters.matrix.login._PROOF_S", 0.1)
    async with asyncio.timeout(5):
        if hangs == "_realm":
            monkeypatch.setattr(MatrixLogin, "_fetch", hang)
            await _log_in({})
        elif hangs == "logout":
            monkeypatch.setattr("adapters.matrix.http.Api.post", hang)
            with pytest.raises(Transient, match="contradicts"):
                await _log_in({"whoami": lambda _: (200, {"user_id": "@eve:hs"})})
        else:
            monkeypatch.setattr(MatrixLogin, hangs, hang)
            with pytest.raises(Transient, match="did not answer in time"):
                await _log_in({})


def test_nothing_shows_a_token() -> None:
    made = Credentials(
        homeserver="https://h", user_id="@b:h", device_id="D", access_token="sesame"
    )
    answer = Fetched(200, {"Set-Cookie": "sesame"}, made.encoded())
    shown = [repr(made), str(made), repr(made.__rich_repr__()), repr(answer)]
    assert not [line for line in shown if "sesame" in line]
    assert "sesame" not in repr(Answer({"access_token": "sesame"}))


async def test_a_login_that_cannot_be_used_is_ended() -> None:
    handlers = {**GOOD, "whoami": lambda _: (200, {"user_id": "@eve:hs"})}
    async with misbehaving(**handlers) as server, aiohttp.ClientSession() as http:
        login = MatrixAdapter(MemoryNetwork(http)).login()
        with pytest.raises(Transient):
            await login.submit({"homeserver": server.url, "username": "bob", "password": "p"})
        assert server.paths("POST") == ["/login", "/logout"]


@pytest.mark.parametrize(("empty", "field"), [("username", "username"), ("password", "password")])
async def test_empty_answers(empty: str, field: str) -> None:
    with pytest.raises(BadLogin) as caught:
        await _log_in({}, **{empty: ""})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("typed", "user", "expected"),
    [
        ("example.org", "bob", "example.org"),
        ("", "bob", "default.org"),
        ("", "@bob:other.org", "other.org"),
        ("@bob:other.org", "bob", "other.org"),
        (" https://hs.org/ ", "bob", "https://hs.org"),
    ],
)
def test_which_homeserver_is_meant(typed: str, user: str, expected: str) -> None:
    adapter = MatrixAdapter(_Network(default_homeserver="default.org"))
    assert _meant(adapter, typed, user) == expected


def test_the_list_of_allowed_homeservers() -> None:
    adapter = MatrixAdapter(_Network(allowed_homeservers=("Example.org", "https://hs.org/")))
    assert _meant(adapter, "example.ORG", "bob") == "example.ORG"
    assert _meant(adapter, "https://hs.org", "bob") == "https://hs.org"
    for other in ("example.org.evil.org", "hs.org", "https://example.org"):
        with pytest.raises(Forbidden, match=r"example\.org"):
            _meant(adapter, other, "bob")


def _meant(adapter: MatrixAdapter, homeserver: str, username: str) -> str:
    flow = adapter.login()
    assert isinstance(flow, MatrixLogin)
    return flow._homeserver({"homeserver": homeserver, "username": username})


def _asked(step: LoginStep) -> list[tuple[str, bool, str]]:
    return [(field.name, field.secret, field.default) for field in step.fields]


def test_the_questions() -> None:
    login = MatrixAdapter(_Network(default_homeserver="default.org")).login()
    assert _asked(login.first()) == [
        ("homeserver", False, "default.org"), ("method", False, "password")
    ]  # fmt: skip
    assert _asked(login.at_once()) == [
        ("homeserver", False, "default.org"), ("username", False, ""), ("password", True, "")
    ]  # fmt: skip


# --- step by step -------------------------------------------------------------------------------


async def test_the_homeserver_is_checked_before_a_secret_is_asked_for() -> None:
    async with misbehaving(**GOOD) as server, aiohttp.ClientSession() as http:
        login = MatrixAdapter(MemoryNetwork(http)).login()
        with pytest.raises(BadLogin) as caught:
            await login.submit({"homeserver": "not a name", "method": "password"})
        assert caught.value.field == "homeserver"
        step = await login.submit({"homeserver": server.url, "method": "password"})
        assert isinstance(step, LoginStep)
        assert [field.name for field in step.fields] == ["username", "password"]
        step = await login.submit({"homeserver": server.url, "method": "token"})
        assert isinstance(step, LoginStep)
        assert [field.name for field in step.fields] == ["token"]
        # What was found is not asked for again at each step.
        assert server.paths("GET").count("/login") == 1


async def test_the_whole_id_for_a_homeserver_is_the_user_name_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def find(_: MatrixLogin, typed: str) -> tuple[str, bool]:
        assert typed == "example.org"
        return "https://hs.org", True

    monkeypatch.setattr(MatrixLogin, "_find", find)
    login = MatrixAdapter(_Network()).login()
    step = await login.submit({"homeserver": "@bob:example.org", "method": "password"})
    assert isinstance(step, LoginStep)
    assert step.fields[0].default == "@bob:example.org"


@pytest.mark.parametrize(
    ("whoami", "token", "kind", "field"),
    [
        ((200, {"user_id": "@bob:localhost", "device_id": "D"}), "T", None, None),
        ((200, {"user_id": "@bob:localhost"}), " T ", None, None),
        ((401, {"errcode": "M_UNKNOWN_TOKEN"}), "T", BadLogin, "token"),
        ((403, {"errcode": "M_FORBIDDEN"}), "T", BadLogin, "token"),
        ((500, {}), "T", Transient, None),
        ((200, {"user_id": 5}), "T", Transient, None),
        ((200, {}), "", BadLogin, "token"),
        ((200, {}), "to\nken", BadLogin, "token"),
        ((200, {}), "t\u00f6ken", BadLogin, "token"),
    ],
)
async def test_login_with_an_access_token(
    whoami: tuple[int, Any], token: str, kind: type[AdapterError] | None, field: str | None
) -> None:
    handlers: dict[str, Handler] = {**GOOD, "whoami": lambda _: whoami}
    async with misbehaving(**handlers) as server, aiohttp.ClientSession() as http:
        login = MatrixAdapter(MemoryNetwork(http)).login()
        answers = {"homeserver": server.url, "method": "token", "token": token}
        if kind is None:
            linked = await login.submit(answers)
            assert isinstance(linked, Linked)
            assert linked.remote_id == "@bob:localhost"
            assert Credentials.decoded(linked.secret).access_token == "T"
            assert not linked.ours
        else:
            with pytest.raises(kind) as caught:
                await login.submit(answers)
            assert getattr(caught.value, "field", None) == field
        assert "/logout" not in server.paths("POST")  # it is not ours to end


async def test_a_login_again_goes_to_the_same_homeserver_as_the_same_user() -> None:
    async with misbehaving(**GOOD) as server, aiohttp.ClientSession() as http:
        again = Relogin(realm=server.url, remote_id=RemoteUserId("@bob:localhost"))
        login = MatrixAdapter(MemoryNetwork(http)).login(again)
        assert [field.name for field in login.first().fields] == ["method"]
        step = await login.submit({"method": "password"})
        assert isinstance(step, LoginStep)
        assert [field.name for field in step.fields] == ["password"]
        linked = await login.submit({"method": "password", "password": "p"})
        assert isinstance(linked, Linked)
        assert (linked.realm, linked.remote_id) == (again.realm, again.remote_id)


async def test_a_token_of_somebody_else_does_not_revive_an_account() -> None:
    handlers: dict[str, Handler] = {**GOOD, "whoami": lambda _: (200, {"user_id": "@eve:hs"})}
    async with misbehaving(**handlers) as server, aiohttp.ClientSession() as http:
        again = Relogin(realm=server.url, remote_id=RemoteUserId("@bob:localhost"))
        login = MatrixAdapter(MemoryNetwork(http)).login(again)
        with pytest.raises(BadLogin, match="@eve:hs") as caught:
            await login.submit({"method": "token", "token": "T"})
        assert caught.value.field == "token"


async def test_a_login_again_keeps_to_the_allowed_homeservers() -> None:
    async with misbehaving(**GOOD) as server, aiohttp.ClientSession() as http:
        again = Relogin(realm=server.url, remote_id=RemoteUserId("@bob:localhost"))
        for allowed, good in ((server.url, True), ("example.org", False)):
            network = MemoryNetwork(http, allowed_homeservers=(allowed,))
            login = MatrixAdapter(network).login(again)
            if good:
                assert isinstance(await login.submit({"method": "password"}), LoginStep)
            else:
                with pytest.raises(Forbidden, match=r"example\.org"):
                    await login.submit({"method": "password"})


class _Network(MemoryNetwork):
    """Without connections."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(None, **settings)  # type: ignore[arg-type]
