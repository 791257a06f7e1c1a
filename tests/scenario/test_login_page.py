# SPDX-License-Identifier: Apache-2.0
"""The one-time page for a login, byte by byte: what a browser, and what others, can do with it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from xml.etree.ElementTree import tostring

import aiohttp
import pytest
import pytest_asyncio

from gateway.adapter import LoginFlow
from gateway.errors import GatewayError, Transient
from gateway.ids import UserJid
from gateway.store.accounts import AccountStatus
from gateway.xmpp.access import AccessList
from gateway.xmpp.console.page import Page
from tests.peers.ports import free_port
from tests.scenario.house import GATEWAY, PASSWORD, House, Options
from tests.scenario.test_commands import Client, status
from tests.scenario.test_requests import tell
from tests.scenario.test_stream import ALICE, bodies, events

CAROL = "carol@home.example"
OTHER_SITE = "https://evil.example"
_FORM = "application/x-www-form-urlencoded"


class _Parser(HTMLParser):
    """What a person sees, and what their browser would send."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[dict[str, str | None]] = []
        self.tags: set[str] = set()
        self.words: list[str] = []
        self._mute = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._mute = tag in ("style", "title")
        if tag in ("input", "button", "select", "textarea", "meta"):
            self.inputs.append({"tag": tag, **dict(attrs)})

    def handle_data(self, data: str) -> None:
        if not self._mute:
            self.words.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._mute = False


@dataclass
class Seen:
    """One answer."""

    status: int
    headers: dict[str, str]
    html: str

    @property
    def parsed(self) -> _Parser:
        parser = _Parser()
        parser.feed(self.html)
        return parser

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.parsed.words).split())

    @property
    def names(self) -> set[str]:
        """Of what can be filled in, and the buttons there are."""
        return {
            f"{one.get('name')}={one.get('value')}" if one["tag"] == "button" else str(one["name"])
            for one in self.parsed.inputs
            if one.get("name") and one["tag"] != "meta"
        }

    @property
    def stage(self) -> str:
        (found,) = (one for one in self.parsed.inputs if one.get("name") == "stage")
        return found["value"] or ""


@dataclass
class Visitor:
    """A browser without scripts, which minds cookies and nothing else."""

    house: House
    http: aiohttp.ClientSession
    cookies: dict[str, str] = field(default_factory=dict)

    async def send(self, method: str, url: str, data: object = None, **headers: str) -> Seen:
        path = url.removeprefix("https://127.0.0.1:1")
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        async with self.http.request(
            method,
            f"http://127.0.0.1:{self.house.options.http_port}{path}",
            data=data,
            headers={**({"Cookie": cookie} if cookie else {}), **headers},
            allow_redirects=False,
        ) as answer:
            for name, morsel in answer.cookies.items():
                self.cookies[name] = morsel.value
            return Seen(answer.status, dict(answer.headers), await answer.text())

    async def look(self, url: str) -> Seen:
        return await self.send("GET", url)

    async def post(self, url: str, seen: Seen, do: str = "next", **answers: str) -> Seen:
        """Send a form that was seen, and follow to what comes then."""
        data = {"stage": seen.stage, "do": do}
        data |= {f"answer-{name}": value for name, value in answers.items()}
        sent = await self.send("POST", url, data)
        if sent.status != 303:
            return sent
        return await self.look(sent.headers["Location"])


@pytest_asyncio.fixture
async def paged(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[House]:
    """A gateway with pages, which is running; by default with the login in one step."""
    adapter = getattr(request, "param", "scripted")
    options = Options(adapter=adapter, http_port=free_port(), allow=("home.example", "*"))
    async with House(tmp_path, options) as house:
        await house.start()
        await house.connected()
        yield house


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        yield session


async def _address(house: House, user: str = ALICE, said: str = "login", minutes: int = 10) -> str:
    """Of the page that the gateway offers in the chat."""
    house.server.send(
        f"<message from='{user}/phone' to='{GATEWAY}' type='chat'><body>{said}</body></message>"
    )
    (offer,) = await bodies(house)
    (found,) = re.findall(r"https://\S+", offer)
    assert "login here" in offer
    assert f"within {minutes} minutes" in offer
    return str(found)


def _pages(house: House) -> dict[str, Page]:
    assert house.component._pages is not None
    return house.component._pages._pages


def _account(house: House, user: str = ALICE) -> str:
    account = house.bridge.accounts.of(UserJid(user))
    return "" if account is None else account.remote_id


async def test_req_204_a_login_on_the_page(paged: House, http: aiohttp.ClientSession) -> None:
    url, me = await _address(paged), Visitor(paged, http)
    assert url.startswith("https://127.0.0.1:1/chat/login/")
    assert len(url.rpartition("/")[2]) >= 43  # 256 bits
    first = await me.look(url)
    assert f"does so for {ALICE}" in first.words.replace(" .", ".")
    assert first.names == {"stage", "answer-username", "answer-password", "do=next", "do=cancel"}
    done = await me.post(url, first, username="alice", password=PASSWORD)
    assert "You are logged in as alice." in done.words
    assert _account(paged) == "alice"
    assert "You are logged in as alice." in await bodies(paged)
    assert not [word for word in (PASSWORD, url[-43:]) if word in repr(paged.logs)]
    # It is over: the browser that has it may look again, and there is nothing to answer.
    assert "You are logged in" in (await me.look(url)).words
    assert (await Visitor(paged, http).look(url)).status == 403
    assert (await me.send("POST", url, {"stage": "1", "do": "next"})).status == 303


@pytest.mark.parametrize("paged", ["stepwise"], indirect=True)
async def test_req_204_214_several_steps_and_back(
    paged: House, http: aiohttp.ClientSession
) -> None:
    url, me = await _address(paged), Visitor(paged, http)
    first = await me.look(url)
    wrong = await me.post(url, first, username="nobody", method="password")
    assert "There is no such user." in wrong.words
    second = await me.post(url, wrong, username="alice", method="code")
    assert {"answer-code", "do=back"} <= second.names
    before = await me.post(url, second, do="back")
    values = [one.get("value") for one in before.parsed.inputs if one.get("checked", "") is None]
    assert values == ["code"]
    assert 'value="alice"' in before.html
    second = await me.post(url, before, username="alice", method="password")
    wrong = await me.post(url, second, password="user-sicret")
    assert "The password is wrong." in wrong.words
    assert "user-sicret" not in wrong.html
    done = await me.post(url, wrong, password=PASSWORD)
    assert "You are logged in as alice." in done.words


async def test_req_204_a_look_says_nothing_in_the_chat_and_spends_no_page(
    paged: House, http: aiohttp.ClientSession
) -> None:
    url, me = await _address(paged), Visitor(paged, http)
    await tell(paged, "login here", "alice", PASSWORD)
    assert "You are logged in as alice." in (await me.look(url)).words
    assert await bodies(paged) == []
    await tell(paged, "unregister", "yes")
    assert _account(paged) == ""
    assert await _address(paged) == url
    form = await me.look(url)
    assert "answer-password" in form.names
    await me.post(url, form, username="alice", password=PASSWORD)
    assert _account(paged) == "alice"


async def test_req_204_a_page_that_was_looked_at_too_early_is_good_later(
    paged: House, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, me = await _address(paged), Visitor(paged, http)

    def not_yet(_: UserJid) -> LoginFlow:
        raise Transient("The network has not started.")

    with monkeypatch.context() as patch:
        patch.setattr(paged.bridge.logins, "login", not_yet)
        assert "has not started" in (await me.look(url)).words
    assert await bodies(paged) == []
    assert "answer-password" in (await me.look(url)).names
    await paged.clock.advance(600)
    assert (await me.look(url)).status == 404, "no look prolongs it"


@pytest.mark.parametrize("paged", ["stepwise"], indirect=True)
async def test_req_204_205_who_asks_for_the_form_ends_no_page_in_use(
    paged: House, http: aiohttp.ClientSession
) -> None:
    url, me = await _address(paged), Visitor(paged, http)
    assert url in await _registration_form(paged)
    second = await me.post(url, await me.look(url), username="alice", method="password")
    assert "/chat/login/" not in await _registration_form(paged)
    await me.post(url, second, password=PASSWORD)
    assert _account(paged) == "alice"


async def test_req_204_205_who_asks_for_the_form_ends_no_page_that_is_looked_at(
    paged: House, http: aiohttp.ClientSession
) -> None:
    url, me = await _address(paged), Visitor(paged, http)
    form = await me.look(url)
    await paged.clock.advance(400)
    assert url in await _registration_form(paged)
    await me.post(url, form, username="alice", password=PASSWORD)
    assert _account(paged) == "alice"


async def _registration_form(house: House) -> str:
    """What a client of XEP-0077 is shown."""
    query = "<query xmlns='jabber:iq:register'/>"
    house.server.send(f"<iq type='get' id='r' from='{ALICE}/x' to='{GATEWAY}'>{query}</iq>")
    await house.clock.settle()
    return tostring(await Client(house).reply(), encoding="unicode")


@pytest.mark.parametrize("leaving", [("unregister", "yes"), ("logout",)])
@pytest.mark.parametrize("paged", ["stepwise"], indirect=True)
async def test_req_209_a_login_begun_before_does_not_undo_it(
    paged: House, http: aiohttp.ClientSession, leaving: tuple[str, ...]
) -> None:
    url, me = await _address(paged), Visitor(paged, http)
    second = await me.post(url, await me.look(url), username="alice", method="password")
    await tell(paged, "login here", "alice", "1", PASSWORD)
    assert _account(paged) == "alice"
    await tell(paged, *leaving)
    done = await me.post(url, second, password=PASSWORD)
    assert "You have logged out since this login was begun." in done.words
    account = paged.bridge.accounts.of(UserJid(ALICE))
    assert account is None or account.status is AccountStatus.LOGGED_OUT
    # Who begins now comes in.
    await tell(paged, "login here", "alice", "1", PASSWORD)
    account = paged.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    assert account.status is AccountStatus.LINKED


@pytest.mark.parametrize("paged", ["stepwise"], indirect=True)
async def test_req_204_what_is_sent_twice_answers_one_question(
    paged: House, http: aiohttp.ClientSession
) -> None:
    url, me = await _address(paged), Visitor(paged, http)
    first = await me.look(url)
    await me.post(url, first, username="alice", method="code")
    twice = await me.post(url, first, username="alice", method="password", code="x")
    assert "answer-code" in twice.names
    assert "wrong" not in twice.words


async def test_req_204_what_is_missing_is_asked_for(
    paged: House, http: aiohttp.ClientSession
) -> None:
    url, me = await _address(paged), Visitor(paged, http)
    again = await me.post(url, await me.look(url), username="alice")
    assert "An answer to “Password” is needed." in again.words
    assert 'value="alice"' in again.html


async def test_req_204_cancel_changes_nothing(paged: House, http: aiohttp.ClientSession) -> None:
    url, me = await _address(paged), Visitor(paged, http)
    over = await me.post(url, await me.look(url), do="cancel", username="alice", password="x")
    assert "Nothing was changed." in over.words
    assert (_account(paged), await bodies(paged)) == ("", [])


async def test_req_204_it_is_of_no_use_in_another_browser(
    paged: House, http: aiohttp.ClientSession
) -> None:
    url = await _address(paged)
    me, other = Visitor(paged, http), Visitor(paged, http)
    form, seen = await me.look(url), await other.look(url)  # a preview of the link, say
    await me.post(url, form, username="alice", password="wrong")
    assert (await other.look(url)).status == 403
    stolen = await other.post(url, seen, username="carol", password=PASSWORD)
    assert stolen.status == 403
    assert "somebody else can read your chats" in stolen.words
    assert _account(paged) == ""
    again = await me.look(url)
    assert "The password is wrong." in again.words
    await me.post(url, again, username="alice", password=PASSWORD)
    assert _account(paged) == "alice"


async def test_req_204_ten_minutes(paged: House, http: aiohttp.ClientSession) -> None:
    url, me = await _address(paged), Visitor(paged, http)
    form = await me.look(url)
    await paged.clock.advance(599)
    assert (await me.look(url)).status == 200
    await paged.clock.advance(1)
    assert (await me.look(url)).status == 404
    late = await me.post(url, form, username="alice", password=PASSWORD)
    assert (late.status, _account(paged)) == (404, "")
    assert not _pages(paged)


async def test_req_204_a_question_left_open_ends_it(
    paged: House, http: aiohttp.ClientSession
) -> None:
    url, me = await _address(paged), Visitor(paged, http)
    await me.post(url, await me.look(url), username="alice", password="wrong")
    await paged.clock.advance(599)
    assert "The password is wrong." in (await me.look(url)).words
    await paged.clock.advance(302)
    assert "not any more" in (await me.look(url)).words
    await paged.clock.advance(700)
    assert not _pages(paged)


async def test_req_204_a_new_page_ends_the_old_one(
    paged: House, http: aiohttp.ClientSession
) -> None:
    first = await _address(paged)
    await paged.clock.advance(150)
    assert await _address(paged, said="register", minutes=7) == first  # it is as good as new
    me = Visitor(paged, http)
    await me.post(first, await me.look(first), username="alice", password="wrong")
    second = await _address(paged)
    assert second != first
    assert (await me.look(first)).status == 404
    assert (await me.look(second)).status == 200
    await paged.clock.advance(301)
    third = await _address(paged)
    assert third not in (first, second)
    assert await _address(paged, CAROL) != third


async def test_req_204_nobody_guesses(paged: House, http: aiohttp.ClientSession) -> None:
    url, me = await _address(paged), Visitor(paged, http)
    base = url.rpartition("/")[0]
    for wrong in ("x", "x" * 5000, "%00", "%ff%fe", url[-43:-1], f"{url[-43:]}x"):
        assert (await me.look(f"{base}/{wrong}")).status == 404
    statuses = [(await me.look(f"{base}/{number}")).status for number in range(300)]
    assert statuses[0] == 404
    assert statuses[-1] == 429
    assert (await me.look(url)).status == 200, "whose page it is does not notice"


async def test_req_204_one_answer_counts_of_two_at_once(
    paged: House, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    login = type(paged.bridge.logins).submit

    async def counted(*args: object) -> object:
        tried.append(1)
        return await login(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(type(paged.bridge.logins), "submit", counted)
    url = await _address(paged)
    me, other = Visitor(paged, http), Visitor(paged, http)
    forms = [await me.look(url), await other.look(url)]
    both = await asyncio.gather(
        me.post(url, forms[0], username="alice", password=PASSWORD),
        me.post(url, forms[0], username="alice", password=PASSWORD),
        other.post(url, forms[1], username="carol", password=PASSWORD),
    )
    assert len(tried) == 1
    assert _account(paged) in ("alice", "carol")
    assert sorted(seen.status for seen in both) in ([200, 200, 403], [200, 403, 403])


async def test_req_204_other_sites_send_nothing(paged: House, http: aiohttp.ClientSession) -> None:
    url, me = await _address(paged), Visitor(paged, http)
    stage = (await me.look(url)).stage
    data = {"stage": stage, "do": "next", "answer-username": "alice", "answer-password": PASSWORD}
    for origin in (OTHER_SITE, "null", "https://127.0.0.1:1.evil.example", "http://127.0.0.1:1"):
        assert (await me.send("POST", url, data, Origin=origin)).status == 403
    assert (await Visitor(paged, http).send("POST", url, data)).status == 403, "no cookie"
    assert _account(paged) == ""
    assert (await me.send("POST", url, data, Origin="https://127.0.0.1:1")).status == 303
    assert _account(paged) == "alice"


async def test_req_130_a_page_speaks_the_language_of_its_user_or_of_the_browser(
    paged: House, http: aiohttp.ClientSession
) -> None:
    url = await _address(paged)
    alice, other = Visitor(paged, http), Visitor(paged, http)
    paged.server.send(
        f"<message from='{ALICE}/phone' to='{GATEWAY}' type='chat' xml:lang='de'>"
        "<body>hilfe</body></message>"
    )
    await bodies(paged)
    await alice.post(url, await alice.look(url), username="alice", password="wrong")
    refused = await other.look(url)
    assert "in einem anderen Browser geöffnet" in refused.words
    assert '<html lang="de">' in refused.html

    unknown = f"{url[:-5]}12345"
    for wanted, language in [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr, de;q=0.5, en;q=0.4", "de"),
        ("de;q=0.1, en", "en"),
        ("de;q=0", "en"),
        ("de;q=NaN, tlh, ;;,", "en"),
        ("de," * 2000, "de"),
        ("", "en"),
    ]:
        for address in (unknown, "/elsewhere"):
            seen = await other.send("GET", address, **{"Accept-Language": wanted})
            assert seen.status == 404
            assert f'<html lang="{language}">' in seen.html, wanted
            assert ("gibt es nicht" in seen.words) == (language == "de"), seen.words


async def test_req_204_headers_of_all_answers(paged: House, http: aiohttp.ClientSession) -> None:
    url, me = await _address(paged), Visitor(paged, http)
    shown = await me.look(url)
    cookie = shown.headers["Set-Cookie"]
    assert cookie.startswith("__Host-visitor=")
    assert {"HttpOnly", "Secure", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    for seen in (shown, await me.look("/chat/nowhere"), await me.send("PUT", url)):
        assert seen.headers["Cache-Control"] == "no-store"
        assert seen.headers["X-Frame-Options"] == "DENY"
        assert seen.headers["Referrer-Policy"] == "same-origin"
        assert seen.headers["X-Content-Type-Options"] == "nosniff"
        policy = seen.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "script" not in policy
        assert "frame-ancestors 'none'" in policy
        assert not seen.parsed.tags & {"script", "img", "iframe", "link"}
        assert "aiohttp" not in repr(seen.headers)


async def test_req_204_wrong_methods_and_bodies(paged: House, http: aiohttp.ClientSession) -> None:
    url, me = await _address(paged), Visitor(paged, http)
    form = await me.look(url)
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert (await me.send(method, url)).status == 405
    assert (await me.send("HEAD", url)).status == 200
    huge = {"stage": form.stage, "do": "next", "answer-username": "x" * 70_000}
    assert (await me.send("POST", url, huge)).status == 413
    long = {"stage": form.stage, "do": "next", "answer-username": "x" * 9000}
    await me.send("POST", url, {**long, "answer-password": "x"})
    form = await me.look(url)
    assert "is too long" in form.words
    for body, kind, status_ in (
        (b"{}", "application/json", 415),
        (b"x", "multipart/form-data; boundary=x", 415),
        (b"stage=%ff%fe&do=%00", _FORM, 303),
        (b"stage=1", f"{_FORM}; charset=nonsense", 400),
        (b"\xff\xfe\x00", _FORM, 400),
        (b"", _FORM, 303),
        (b"stage=999999999999999999999999&do=next", _FORM, 303),
        (b"&".join(b"a%d=1" % n for n in range(5000)), _FORM, 413),
    ):
        sent = await me.send("POST", url, body, **{"Content-Type": kind})
        assert sent.status == status_, (body[:40], kind, sent.words)
    assert (await me.look(url)).stage == form.stage, "the question stands as it was"
    done = await me.post(url, form, username="alice", password=PASSWORD)
    assert "You are logged in" in done.words
    assert not [log for log in paged.logs if log["log_level"] == "error"]


async def test_req_711_who_answers_too_often_waits(
    paged: House, http: aiohttp.ClientSession
) -> None:
    url, me = await _address(paged), Visitor(paged, http)
    form = await me.look(url)
    data = {"stage": "0", "do": "next"}
    statuses = [(await me.send("POST", url, data)).status for _ in range(61)]
    assert (statuses[0], statuses[-1]) == (303, 429)
    assert (await me.look(url)).status == 200
    await paged.clock.advance(60)
    assert "logged in" in (await me.post(url, form, username="alice", password=PASSWORD)).words


async def test_req_204_markup_in_answers_and_names_is_text(
    paged: House, http: aiohttp.ClientSession
) -> None:
    evil = "a\"'><script>x</script>@home.example"
    url, me = await _address(paged), Visitor(paged, http)
    again = await me.post(url, await me.look(url), username=evil)
    assert "script" not in again.parsed.tags
    (box,) = (one for one in again.parsed.inputs if one.get("name") == "answer-username")
    assert box["value"] == evil
    assert unescape(again.html).count("<script>x") == 1


async def test_req_219_who_is_no_longer_admitted_gets_no_further(
    paged: House, http: aiohttp.ClientSession
) -> None:
    url, me = await _address(paged), Visitor(paged, http)
    form = await me.look(url)
    paged.component.access = AccessList((), ("*",))
    refused = await me.post(url, form, username="alice", password=PASSWORD)
    assert (refused.status, _account(paged)) == (403, "")


async def test_req_204_a_slow_network_keeps_no_browser_waiting(
    paged: House, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, me = await _address(paged), Visitor(paged, http)
    form = await me.look(url)
    go = asyncio.Event()
    login = type(paged.bridge.logins).submit

    async def slow(*args: object) -> object:
        await go.wait()
        return await login(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(type(paged.bridge.logins), "submit", slow)
    sending = asyncio.ensure_future(me.post(url, form, username="alice", password=PASSWORD))
    await paged.clock.settle()
    assert not sending.done()
    await paged.clock.advance(5)
    await paged.clock.advance(5)
    waiting = await sending
    assert "Waiting for Scripted" in waiting.words
    (again,) = (one for one in waiting.parsed.inputs if one.get("http-equiv") == "refresh")
    assert again["content"] == "2"
    go.set()
    await paged.clock.settle()
    assert "You are logged in as alice." in (await me.look(url)).words


async def test_req_201_without_pages_the_chat_asks(house: House) -> None:
    await house.start()
    await house.connected()
    assert (await tell(house, "login"))[-1] == "User?"
    await tell(house, "cancel")
    assert (await tell(house, "login here"))[-1] == "User?"
    await tell(house, "cancel")
    assert (await tell(house, "login alice"))[-1] == "Password?"


async def test_req_201_202_who_would_rather_answer_in_the_chat(paged: House) -> None:
    assert (await tell(paged, "login here"))[-1] == "User?"
    said = await tell(paged, "alice", "wrong")
    assert said[-1] == "User?"
    await tell(paged, "cancel")
    await tell(paged, "login here", "alice")
    done = await tell(paged, PASSWORD)
    assert "please delete the message with the password" in "".join(done)
    # Forms keep nothing, so they ask by themselves.
    client = Client(paged, f"{CAROL}/x")
    assert status(await client.give("register")) == "executing"


async def test_req_202_a_password_that_was_typed_in_vain_is_to_be_deleted(house: House) -> None:
    await house.start()
    await house.connected()
    said = await tell(house, "login", "alice", "wrong", "cancel")
    assert said[-2:] == [
        "Your client keeps what you typed: please delete the message with the password.",
        "Cancelled.",
    ]
    assert (await tell(house, "login", "alice", "cancel"))[-1] == "Cancelled."
    assert "delete" not in repr(await bodies(house))


async def test_req_712_strangers_get_so_many_pages(
    paged: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.xmpp.console.page._MOST_OF_STRANGERS", 2)
    await _address(paged, "a@far.example")
    await _address(paged, "b@far.example")
    assert "User?" in await tell_as(paged, "c@far.example", "login")
    await _address(paged, ALICE)
    monkeypatch.setattr("gateway.xmpp.console.page._MOST", 3)
    assert "User?" in await tell_as(paged, CAROL, "login")
    await paged.clock.advance(600)
    assert not _pages(paged)


async def tell_as(house: House, user: str, said: str) -> list[str]:
    house.server.send(
        f"<message from='{user}/x' to='{GATEWAY}' type='chat'><body>{said}</body></message>"
    )
    return await bodies(house)


async def test_req_204_what_listens_there_already_is_told_at_once(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        options = Options(http_port=free_port())
        first = await stack.enter_async_context(House(tmp_path / "a", options))
        second = await stack.enter_async_context(House(tmp_path / "b", options))
        for each in (first, second):
            each.folder.mkdir()
        await first.start()
        with pytest.raises(GatewayError, match=r"http\.listen: cannot listen on 127.* in use"):
            await second.start()
        await second._stack.aclose()
        second.gateway = None


async def test_an_address_that_leads_elsewhere_is_told(paged: House) -> None:
    await paged.clock.advance(400)
    (told,) = (log for log in paged.logs if log["event"] == "pages_not_reached")
    assert told["log_level"] == "warning"
    assert told["address"] == paged.options.public_url
    assert told["reason"]
    assert "web_listening" in events(paged)
