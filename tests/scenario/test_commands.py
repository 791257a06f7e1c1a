# SPDX-License-Identifier: Apache-2.0
"""Ad-hoc commands where it is about numbers, races and memory: scripts are no use for those."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest

from gateway.adapter import ListedContact
from gateway.bridge.accounts.settings import FIELDS
from gateway.config.tree import Limits
from gateway.config.values import Rate
from gateway.ids import RemoteUserId, UserJid
from gateway.xmpp.access import AccessList
from tests.scenario.house import GATEWAY, PASSWORD, House, Options
from tests.scenario.test_requests import hanging, never, tell
from tests.scenario.test_stream import ALICE, bodies, events, running, stanza
from tests.scripted.adapter import _Login

C = "{http://jabber.org/protocol/commands}"
_STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
_NS = "xmlns='http://jabber.org/protocol/commands'"


def form(**values: str) -> str:
    """A submitted form."""
    fields = "".join(
        f"<field var='{name}'><value>{value}</value></field>" for name, value in values.items()
    )
    return f"<x xmlns='jabber:x:data' type='submit'>{fields}</x>"


class Client:
    """One device that gives commands."""

    def __init__(self, house: House, jid: str = f"{ALICE}/phone") -> None:
        self.house = house
        self.jid = jid

    def send(self, inner: str) -> None:
        self.house.server.send(
            f"<iq type='set' id='c' from='{self.jid}' to='{GATEWAY}'>{inner}</iq>"
        )

    async def give(
        self, node: str, session: str = "", action: str = "", inner: str = ""
    ) -> Element:
        """Give a command; the answer, which is the next IQ."""
        attributes = f"node='{node}'" + (f" sessionid='{session}'" if session else "")
        attributes += f" action='{action}'" if action else ""
        self.send(f"<command {_NS} {attributes}>{inner}</command>")
        await self.house.clock.settle()
        return await self.reply()

    async def reply(self) -> Element:
        while True:
            found = await stanza(self.house)
            if found.tag.endswith("}iq"):
                return found

    async def begin(self, node: str) -> str:
        """Begin a command that asks something; its session."""
        reply = await self.give(node)
        command = reply.find(f"{C}command")
        assert command is not None, reply.attrib
        assert command.get("status") == "executing"
        return command.get("sessionid", "")


def condition(reply: Element) -> str:
    """Of an error."""
    assert reply.get("type") == "error"
    found = reply.find("{jabber:component:accept}error")
    assert found is not None
    return found[0].tag.removeprefix(_STANZAS)


def detail(reply: Element) -> str:
    """Of an error: what only commands know."""
    return next(child.tag for child in reply.iter() if child.tag.startswith(C)).removeprefix(C)


def status(reply: Element) -> str:
    command = reply.find(f"{C}command")
    assert command is not None
    return command.get("status", "")


async def started(house: House) -> Client:
    await house.start()
    await house.connected()
    return Client(house)


# --- sessions (REQ-213, REQ-712) -----------------------------------------------------------------


async def test_req_712_five_sessions_and_the_oldest_makes_room(house: House) -> None:
    client, other = await started(house), Client(house, f"{ALICE}/desk")
    sessions = [await (client, other)[n % 2].begin("register") for n in range(5)]
    assert len(set(sessions)) == 5
    assert min(map(len, sessions)) >= 22  # 128 bits
    sixth = await client.begin("register")
    assert len(house.component.commands._sessions) == 5
    gone = await client.give("register", sessions[0], "next")
    assert (condition(gone), detail(gone)) == ("not-allowed", "session-expired")
    # Those of others are counted apart.
    assert await Client(house, "bob@home.example/x").begin("register")
    for owner, session in ((other, sessions[1]), (client, sixth)):
        assert status(await owner.give("register", session, "cancel")) == "canceled"


async def test_req_712_five_that_are_busy_leave_no_room(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await started(house)
    monkeypatch.setattr("tests.scripted.adapter._Login.submit", never)
    monkeypatch.setattr("gateway.bridge.accounts.logins._ATTEMPTS_OF_USER", 5)
    for _ in range(5):
        session = await client.begin("register")
        client.send(
            f"<command {_NS} node='register' sessionid='{session}'>"
            f"{form(username='alice', password='x')}</command>"
        )
        await house.clock.settle()
    assert condition(await client.give("register")) == "resource-constraint"
    await house.clock.advance(61)
    await bodies(house)
    assert await client.begin("register")


async def test_req_213_what_was_left_behind_is_forgotten(house: House) -> None:
    client = await started(house)
    session = await client.begin("register")
    await house.clock.advance(899)
    reply = await client.give("register", session, "next", form(username="alice"))
    assert status(reply) == "executing"
    await house.clock.advance(899)
    assert session in house.component.commands._sessions
    await house.clock.advance(1)
    assert not house.component.commands._sessions
    assert not house.component.commands._users
    for n in range(1100):
        house.component.commands._expired[f"{n}"] = None
    await client.begin("register")
    await house.clock.advance(900)
    assert len(house.component.commands._expired) == 1000


async def test_req_213_a_result_that_nobody_fetches_is_forgotten(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = await hanging_by_command(house, monkeypatch)
    flow.go.set()
    await house.clock.settle()
    assert len(house.component.commands._sessions) == 1
    await house.clock.advance(900)
    assert not house.component.commands._sessions


# --- work that takes its time (REQ-218) ----------------------------------------------------------


async def hanging_by_command(house: House, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Alice logs in by command, and the network does not answer; the first answer to that."""
    flow: Any = await hanging(house, monkeypatch)
    await tell(house, "cancel")
    client = Client(house)
    session = await client.begin("register")
    client.send(
        f"<command {_NS} node='register' sessionid='{session}'>"
        f"{form(username='alice', password=PASSWORD)}</command>"
    )
    await house.clock.settle()
    assert house.server.received.empty()
    await house.clock.advance(10)
    assert status(await client.reply()) == "executing"
    flow.session = session
    return flow


async def test_req_218_the_result_is_there_when_it_is_looked_at_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = await hanging_by_command(house, monkeypatch)
    flow.go.set()
    await house.clock.settle()
    done = await Client(house).give("register", flow.session, "next")
    assert status(done) == "completed"
    assert house.bridge.accounts.of(UserJid(ALICE)) is not None
    again = await Client(house).give("register", flow.session, "next")
    assert detail(again) == "bad-sessionid"


async def test_req_218_a_login_that_was_left_is_ended_on_the_network(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = await hanging_by_command(house, monkeypatch)
    assert status(await Client(house).give("register", flow.session, "cancel")) == "canceled"
    flow.go.set()
    await house.clock.settle()
    assert house.network.commands[-1]["op"] == "logout"
    assert "token-late" not in house.network.tokens
    assert house.bridge.accounts.of(UserJid(ALICE)) is None


async def test_a_command_that_fails_is_one_answer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)

    def broken(_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(house.bridge.traffic, "counts", broken)
    assert condition(await Client(house).give("status")) == "internal-server-error"
    assert "task_failed" in events(house)
    assert not house.component.commands._sessions


# --- rights (REQ-219) ----------------------------------------------------------------------------


def deny(house: House) -> None:
    house.component.access = AccessList(allow=("*",), deny=(ALICE,))


async def test_req_219_who_is_no_longer_admitted_goes_no_further(house: House) -> None:
    client = await started(house)
    session = await client.begin("register")
    deny(house)
    reply = await client.give(
        "register", session, "next", form(username="alice", password=PASSWORD)
    )
    assert condition(reply) == "forbidden"
    house.component.access = AccessList(allow=("*",))
    assert detail(await client.give("register", session, "next")) == "bad-sessionid"
    assert house.bridge.accounts.of(UserJid(ALICE)) is None


async def test_req_219_without_the_account_there_is_nothing_to_end(house: House) -> None:
    await running(house)
    client = Client(house)
    session = await client.begin("unregister")
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    await house.bridge.logins.unregister(account)
    await bodies(house)
    reply = await client.give("unregister", session, "complete", form(sure="1"))
    assert condition(reply) == "registration-required"


async def test_req_219_who_is_no_longer_admin(house: House) -> None:
    house.options = Options(admins=("admin@home.example",))
    await running(house)
    client = Client(house, "admin@home.example/x")
    node = "http://jabber.org/protocol/admin#end-user-session"
    session = await client.begin(node)
    house.component.admins = ()
    reply = await client.give(node, session, "complete", form(accountjids=ALICE))
    assert condition(reply) == "forbidden"
    assert not house.network.commands


async def test_req_219_by_chat_too(house: House) -> None:
    await house.start()
    await house.connected()
    await tell(house, "login", "alice")
    deny(house)
    said = await tell(house, PASSWORD)
    told, ended = said
    assert told.startswith("The admin of this gateway does not admit your address.")
    assert told.endswith("please delete the message with the password.")
    assert ended == "Cancelled."
    assert house.bridge.accounts.of(UserJid(ALICE)) is None


async def test_req_743_who_is_not_admitted_may_still_unregister(house: House) -> None:
    await running(house)
    deny(house)
    client = Client(house)
    assert condition(await client.give("status")) == "forbidden"
    session = await client.begin("unregister")
    done = await client.give("unregister", session, "complete", form(sure="1"))
    assert status(done) == "completed"
    assert house.bridge.accounts.of(UserJid(ALICE)) is None


# --- secrets (REQ-741) ---------------------------------------------------------------------------


def held(secret: str) -> list[object]:
    """Answers by name that still have it; the test's own variables have it as ``secret``.

    The collector does not know dictionaries of texts alone, but those who hold them.
    """
    gc.collect()
    found = {}
    for holder in gc.get_objects():
        for one in (holder, *gc.get_referents(holder)):
            if type(one) is dict and "secret" not in one:
                found[id(one)] = one
    return [
        one
        for one in found.values()
        if any(type(value) is str and value == secret for value in list(one.values()))
    ]


def test_what_is_held_is_found() -> None:
    secret = "".join(["sesa", "me", "-2"])
    holder = [{"password": secret}]
    assert held(secret) == holder


async def wait(house: House, client: Client, session: str) -> None:
    await house.clock.advance(900)


async def cancel(house: House, client: Client, session: str) -> None:
    await client.give("register", session, "cancel")


async def succeed(house: House, client: Client, session: str) -> None:
    house.network.passwords["alice"] = "".join(["sesa", "me", "-1"])
    await client.give("register", session, "next", form(username="alice", password="sesame-1"))
    house.network.passwords.clear()


@pytest.mark.parametrize("end", [wait, cancel, succeed])
async def test_req_741_what_was_typed_is_forgotten(house: House, end: Callable[..., Any]) -> None:
    secret = "".join(["sesa", "me", "-1"])
    client = await started(house)
    house.network.passwords.clear()
    session = await client.begin("register")
    reply = await client.give("register", session, "next", form(username="alice", password=secret))
    assert status(reply) == "executing"
    assert not held(secret)  # it is not kept for another attempt either
    assert secret not in "".join(reply.itertext())
    reply = await client.give("register", session, "next", form(password=secret))
    assert status(reply) == "executing"
    assert not held(secret), "nor with a form that was not complete"
    await end(house, client, session)
    await bodies(house)
    del reply
    assert not held(secret)


# --- garbage (REQ-216) ---------------------------------------------------------------------------

_GARBAGE = [
    "<x xmlns='jabber:x:data'/>",
    "<x xmlns='jabber:x:data' type='result'/>",
    "<x xmlns='jabber:x:data' type='submit'><field/><field var=''/><field var='username'/></x>",
    "<x xmlns='jabber:x:data' type='submit'><field var='username'><value/></field></x>",
    "<x xmlns='jabber:x:data' type='submit'><item><field var='a'/></item><reported/></x>",
    "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>x</value></field></x>",
    form(username="x" * 20_000, password="y"),
    form(**{f"f{n}": "x" for n in range(500)}),
    "<y xmlns='urn:example'><z/></y>",
    "text &#x1F98A;",
    "<actions execute='complete'><complete/></actions>",
    "<command xmlns='http://jabber.org/protocol/commands' node='status'/>",
]


@pytest.mark.parametrize("garbage", _GARBAGE)
async def test_req_216_garbage_is_one_answer_and_the_session_goes_on(
    house: House, garbage: str
) -> None:
    client = await started(house)
    session = await client.begin("register")
    for action in ("next", "", "execute", "prev", "complete", "", "Next"):
        await client.give("register", session, action, garbage)
    await client.give("", session)
    assert house.server.received.empty()
    done = await client.give(
        "register", session, "next", form(username="alice", password=PASSWORD)
    )
    assert status(done) == "completed"
    assert not [log for log in house.logs if log["log_level"] in ("error", "critical")]


# --- attempts to log in (REQ-711) ----------------------------------------------------------------


async def test_req_711_attempts_to_log_in_are_counted_over_all_faces(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.options.limits = Limits(logins=Rate((3, 600)))
    client = await started(house)
    tried: list[Any] = []
    submit = _Login.submit

    async def counted(flow: _Login, answers: Any) -> Any:
        tried.append(answers)
        return await submit(flow, answers)

    monkeypatch.setattr(_Login, "submit", counted)
    session = await client.begin("register")
    for _ in range(2):
        reply = await client.give("register", session, inner=form(username="alice", password="no"))
        assert status(reply) == "executing"
    wrong = "<username>alice</username><password>no</password>"
    client.send(f"<query xmlns='jabber:iq:register'>{wrong}</query>")
    await house.clock.settle()
    assert (await client.reply()).get("type") == "result"
    client.send(f"<query xmlns='jabber:iq:register'>{wrong}</query>")
    await house.clock.settle()
    assert condition(await client.reply()) == "resource-constraint"
    reply = await client.give("register", session, inner=form(username="alice", password="no"))
    assert status(reply) == "completed"
    assert "too often" in "".join(reply.itertext())
    assert len(tried) == 3
    # Others, and the user after a while, may try.
    carol = Client(house, "carol@home.example/x")
    other = await carol.begin("register")
    await carol.give("register", other, inner=form(username="alice", password="no"))
    assert len(tried) == 4
    await house.clock.advance(300)
    session = await client.begin("register")
    await client.give("register", session, inner=form(username="alice", password="no"))
    assert len(tried) == 5


async def test_req_711_three_whose_logins_hang_hold_up_nobody_else(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is cancelled goes on at the network, for minutes: 64 of those were all there may be."""
    await started(house)
    tried: list[str] = []

    async def hang(_: _Login, answers: Any) -> None:
        tried.append(answers["username"])
        await never()

    monkeypatch.setattr(_Login, "submit", hang)
    for user in ("u1", "u2", "u3"):
        client = Client(house, f"{user}@home.example/x")
        for _ in range(25):
            session = await client.begin("register")
            filled = form(username=user, password=PASSWORD)
            client.send(f"<command {_NS} node='register' sessionid='{session}'>{filled}</command>")
            await house.clock.settle()
            await client.give("register", session, "cancel")
            await bodies(house)
    await tell(house, "login", "alice", PASSWORD)
    assert "alice" in tried
    assert max(Counter(tried).values()) <= 4
    await house.clock.advance(700)
    assert not house.bridge.logins._attempts_of


async def test_req_214_what_cannot_be_taken_back_is_not_called_cancelled(house: House) -> None:
    await running(house)
    client = Client(house)
    session = await client.begin("unregister")
    house.network.mute = True
    sure = form(sure="1")
    client.send(
        f"<command {_NS} node='unregister' sessionid='{session}' action='complete'>{sure}"
        "</command>"
    )
    await house.clock.advance(11)
    assert status(await client.reply()) == "executing"
    reply = await client.give("unregister", session, "cancel")
    assert status(reply) == "executing"
    assert "cannot be taken back" in "".join(reply.itertext())
    await bodies(house)
    await house.clock.advance(60)
    assert house.bridge.accounts.of(UserJid(ALICE)) is None
    (said,) = filter(None, await bodies(house))
    assert "Your account and everything that belonged to it are deleted." in said


@pytest.mark.parametrize(("language", "told"), [("en", "Cancelled."), ("de", "Abgebrochen.")])
async def test_req_214_who_left_is_asked_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, told: str
) -> None:
    options = Options(language=language, adds_contacts=True)
    async with House(tmp_path, options) as house:
        await running(house)
        go = asyncio.Event()

        async def slow(*_: object) -> list[ListedContact]:
            await go.wait()
            return [ListedContact(id=RemoteUserId("bob"), name="Bob", was_talked_with=True)]

        monkeypatch.setattr(house.bridge.contacts.own_people, "contacts", slow)
        client = Client(house)
        client.send(f"<command {_NS} node='import'/>")
        await house.clock.advance(11)
        (command,) = await client.reply()
        await client.give("import", command.get("sessionid", ""), "cancel")
        await bodies(house)
        go.set()
        await house.clock.advance(2000)
        assert await bodies(house) == [told]


# --- what text clients show (REQ-832) ------------------------------------------------------------


def shown_lines(command: Element) -> int:
    """Lines of a form in Profanity 0.13, whose window is 80 wide: options stand below each other,
    and what a field is about in more words is told on request (``/form help``)."""
    x = "{jabber:x:data}"
    lines = [part.text or "" for part in command.iter(f"{x}title")]
    lines += [part.text or "" for part in command.iter(f"{x}instructions")]
    for field in command.iter(f"{x}field"):
        if field.get("type") == "fixed":
            lines += [value.text or "" for value in field.iter(f"{x}value")]
        elif field.get("type") != "hidden":
            values = "".join(value.text or "" for value in field.findall(f"{x}value"))
            lines += [f"[field1] {field.get('label')}: {values}"]
            lines += [option.get("label", "") for option in field.iter(f"{x}option")]
    lines += [note.text or "" for note in command.iter(f"{C}note")]
    return sum(-(-len(line) // 80) or 1 for text in lines for line in text.split("\n"))


async def test_req_832_each_form_fits_on_a_screen(house: House) -> None:
    client = await started(house)
    await house.link(ALICE, "alice")
    house.network.event(
        "alice", "room", room="!club", name="The Club", members=[{"user": "alice"}]
    )
    await house.clock.settle()
    house.server.send(
        f"<iq type='get' id='c' from='{client.jid}' to='{GATEWAY}'>"
        "<query xmlns='http://jabber.org/protocol/disco#items'"
        " node='http://jabber.org/protocol/commands'/></iq>"
    )
    listed = [item.get("node", "") for item in (await client.reply())[0]]
    assert {"settings", "search"} <= set(listed)
    screens = {}
    for node in listed:
        command = (await client.give(node)).find(f"{C}command")
        if command is not None:
            screens[node] = shown_lines(command)
    for number in range(1, 1 + len({setting.group for setting in FIELDS})):
        session = await client.begin("settings")
        chosen = f"<field var='section'><value>{number}</value></field>"
        form = f"<x xmlns='jabber:x:data' type='submit'>{chosen}</x>"
        section = await client.give("settings", session, "next", form)
        command = section.find(f"{C}command")
        assert command is not None
        screens[f"settings {number}"] = shown_lines(command)
    assert all(lines <= 21 for lines in screens.values()), screens


async def test_req_832_settings_fit_on_a_screen_of_the_chat(house: House) -> None:
    await started(house)
    await house.link(ALICE, "alice")
    for section in range(1, 1 + len({setting.group for setting in FIELDS})):
        said = await tell(house, "settings", str(section))
        lines = [line for body in said for line in body.split("\n")]
        assert sum(-(-len(line) // 80) or 1 for line in lines) <= 24, said
        await tell(house, "cancel")
