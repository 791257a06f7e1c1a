# SPDX-License-Identifier: Apache-2.0
"""Floods: of users, of strangers, of programs that answer each other (REQ-711, 712, 715, 717)."""

from __future__ import annotations

import asyncio
from collections import Counter
from xml.etree.ElementTree import Element

import pytest

from gateway.config.tree import Limits as LimitsConfig
from gateway.config.values import Rate as RateConfig
from gateway.ids import UserJid
from gateway.xmpp import disco, iq, limits
from gateway.xmpp.limits import Buckets, Rarely, Rate, Repeats
from tests.scenario.house import GATEWAY, House
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_requests import never, session
from tests.scenario.test_stream import ALICE, bodies, events, running

STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
STRANGER = "mallory@evil.example"


def message(sender: str, number: int, body: str = "", to: str = f"bob@{GATEWAY}") -> str:
    """A text for a contact."""
    return (
        f"<message type='chat' from='{sender}/x' to='{to}' id='m{number}'>"
        f"<body>{body or f'text {number}'}</body></message>"
    )


def ping(sender: str, number: int) -> str:
    """A request."""
    return (
        f"<iq type='get' from='{sender}/x' to='{GATEWAY}' id='{number}'>"
        "<ping xmlns='urn:xmpp:ping'/></iq>"
    )


def subscribe(sender: str, to: str = f"bob@{GATEWAY}") -> str:
    """A wish to see presence."""
    return f"<presence type='subscribe' from='{sender}' to='{to}'/>"


async def answers(house: House, *stanzas: str) -> list[Element]:
    """What the gateway says to that."""
    house.server.send("".join(stanzas))
    await house.clock.settle()
    found = []
    while not house.server.received.empty():
        found.append(house.server.received.get_nowait())
    return found


def conditions(found: list[Element]) -> Counter[str]:
    """Of errors; ``""`` for anything else."""
    named = Counter[str]()
    for stanza in found:
        error = stanza.find(f"{ACCEPT}error")
        named["" if error is None else f"{error.get('type')} {error[0].tag[len(STANZAS) :]}"] += 1
    return named


# --- users (REQ-711) ----------------------------------------------------------------------------


async def test_req_711_what_clients_send_after_an_absence_passes(house: House) -> None:
    """Some hundred messages at once, a roster's vCards, read marks and receipts of a night."""
    await running(house)
    for number in range(800):
        house.server.send(message(ALICE, number))
        house.server.send(ping(ALICE, number))
        house.server.send(subscribe(ALICE, f"c{number}@{GATEWAY}"))
        house.server.send(
            f"<message from='{ALICE}/x' to='bob@{GATEWAY}'>"
            f"<received xmlns='urn:xmpp:receipts' id='{number}'/></message>" * 2
        )
    await house.network.until(lambda: len(house.network.sent) == 800, 30)
    assert [text.body for text in house.network.sent] == [f"text {n}" for n in range(800)]
    assert "limit_reached" not in events(house)


async def test_req_711_more_than_that_is_refused_with_a_sentence(house: House) -> None:
    house.options.limits = LimitsConfig(messages=RateConfig((10, 60)), iqs=RateConfig((5, 60)))
    await running(house)
    found = await answers(house, *(message(ALICE, number) for number in range(15)))
    assert conditions(found) == {"wait resource-constraint": 5}
    assert [error.get("id") for error in found] == [f"m{number}" for number in range(10, 15)]
    assert all(
        error.findtext(f"{ACCEPT}error/{STANZAS}text")
        == "You are sending too much at once. Please wait a minute and try again."
        for error in found
    )
    assert len(house.network.sent) == 10
    found = await answers(house, *(ping(ALICE, number) for number in range(8)))
    assert conditions(found) == {"": 5, "wait resource-constraint": 3}
    await house.clock.advance(13)
    found = await answers(house, message(ALICE, 20), message(ALICE, 21), message(ALICE, 22))
    assert conditions(found) == {"wait resource-constraint": 1}
    assert len(house.network.sent) == 12


@pytest.mark.parametrize("admin", [False, True])
async def test_req_711_admins_and_local_users_too(house: House, admin: bool) -> None:
    house.options.limits = LimitsConfig(messages=RateConfig((10, 60)))
    house.options.admins = (ALICE,) if admin else ()
    await running(house)
    found = await answers(house, *(message(ALICE, number) for number in range(15)))
    assert conditions(found) == {"wait resource-constraint": 5}


async def test_req_711_a_flood_of_one_user_touches_no_other(house: House) -> None:
    house.options.limits = LimitsConfig(messages=RateConfig((10, 60)))
    await running(house)
    await house.link("carol@home.example", "carol")
    await bodies(house)
    await answers(house, *(message(ALICE, number) for number in range(500)))
    found = await answers(house, message("carol@home.example", 1))
    assert conditions(found) == {}
    assert house.network.sent[-1].sender == "carol"


async def test_req_711_signals_without_text_are_dropped_before_they_cost(house: House) -> None:
    house.options.limits = LimitsConfig(signals=RateConfig((10, 60)))
    await running(house)
    composing = (
        f"<message type='chat' from='{ALICE}/x' to='bob@{GATEWAY}'>"
        "<{} xmlns='http://jabber.org/protocol/chatstates'/></message>"
    )
    found = await answers(house, *(composing.format(s) for s in ("composing", "paused") * 50))
    assert found == []
    assert len(house.network.commands) <= 10
    assert conditions(await answers(house, message(ALICE, 1))) == {}


async def test_req_711_answers_that_we_wait_for_are_not_measured(house: House) -> None:
    house.options.limits = LimitsConfig(
        iqs=RateConfig((1, 600)), strangers=RateConfig((1, 600)), stranger=RateConfig((1, 600))
    )
    await running(house)
    await house.clock.advance(3600)
    assert house.server.attempts == 1, "barriers were not answered"
    house.network.says("alice", "bob", "hello")
    await house.clock.advance(60)
    await bodies(house)
    assert house.query("SELECT count(*) FROM inbound WHERE state < 2") == [(0,)]


async def test_req_461_a_client_that_repeats_its_id_makes_no_bounce_dear(house: House) -> None:
    """What comes back is looked up by its id on the loop: errors of ours are not kept under ids
    that clients choose."""
    await running(house)
    await bodies(house)
    found = await answers(house, *[message(ALICE, 1, f"{n}", f"x@{GATEWAY}") for n in range(20)])
    assert conditions(found) == {"cancel item-not-found": 20}
    house.network.faults = [{"error": "forbidden", "text": "no"}] * 20
    found = await answers(house, *[message(ALICE, 2, f"{n}") for n in range(20)])
    assert conditions(found) == {"auth forbidden": 20}
    chosen = {stanza.get("id") for stanza in found}
    assert len(chosen) == 1
    kept = {sid for (sid,) in house.query("SELECT stanza_id FROM inbound")}
    assert len(kept) >= 20
    assert not kept & chosen


# --- strangers (REQ-711, REQ-717) ---------------------------------------------------------------


KINDS = {
    "message to a contact": message(STRANGER, 1),
    "message to the gateway": message(STRANGER, 1, "hello", GATEWAY),
    "command": message(STRANGER, 1, "help", GATEWAY),
    "message with a receipt": message(STRANGER, 1, "hello", GATEWAY).replace(
        "<body>", "<request xmlns='urn:xmpp:receipts'/><body>"
    ),
    "message to a room": message(STRANGER, 1, "hello", f"#room@{GATEWAY}"),
    "groupchat": message(STRANGER, 1).replace("'chat'", "'groupchat'"),
    "headline": message(STRANGER, 1).replace("'chat'", "'headline'"),
    "encrypted": message(STRANGER, 1).replace(
        "<body>", "<encrypted xmlns='eu.siacs.conversations.axolotl'/><body>"
    ),
    "privileges": message(STRANGER, 1, "x", GATEWAY).replace(
        "<body>", "<privilege xmlns='urn:xmpp:privilege:2'/><body>"
    ),
    "bounce": message(STRANGER, 1).replace("'chat'", "'error'"),
    "request": ping(STRANGER, 1),
    "info": ping(STRANGER, 1).replace("ping xmlns='urn:xmpp:ping'", f"query xmlns='{disco.INFO}'"),
    "set": ping(STRANGER, 1).replace("'get'", "'set'"),
    "result": ping(STRANGER, 1).replace("'get'", "'result'"),
    "available": f"<presence from='{STRANGER}/x' to='bob@{GATEWAY}'/>",
    "join": f"<presence from='{STRANGER}/x' to='#room@{GATEWAY}/nick'/>",
    **{
        f"{kind} {name}": f"<presence type='{kind}' from='{STRANGER}' to='{to}'/>"
        for kind in ("subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe")
        for name, to in (("contact", f"bob@{GATEWAY}"), ("gateway", GATEWAY))
    },
    "too deep": message(STRANGER, 1, f"{'<a>' * 200}{'</a>' * 200}"),
}


@pytest.mark.parametrize("everybody", [False, True], ids=["admitted-by-name", "admit-everybody"])
@pytest.mark.parametrize("kind", KINDS)
async def test_req_717_one_stanza_of_a_stranger_one_stanza_to_them(
    house: House, kind: str, everybody: bool
) -> None:
    if everybody:
        house.options.allow = ("*",)
    await house.start()
    await house.connected()
    found = await answers(house, KINDS[kind])
    assert len(found) <= 1, kind
    assert all(stanza.get("to", "").startswith(STRANGER) for stanza in found)
    await house.clock.advance(3600)
    assert await answers(house) == []


@pytest.mark.parametrize("everybody", [False, True], ids=["admitted-by-name", "admit-everybody"])
async def test_req_203_717_a_stranger_who_wants_a_receipt_gets_words(
    house: House, everybody: bool
) -> None:
    """All clients of people want one for each text, and there is one stanza for theirs."""
    if everybody:
        house.options.allow = ("*",)
    await house.start()
    await house.connected()
    (said,) = await answers(house, KINDS["message with a receipt"])
    assert said.findtext(f"{ACCEPT}body")


async def test_req_717_a_login_of_a_new_user_has_as_many_lines_as_it_needs(house: House) -> None:
    house.options.allow = ("*",)
    await house.start()
    await house.connected()
    found = await answers(house, message(STRANGER, 1, "login", GATEWAY))
    said = " ".join(stanza.findtext(f"{ACCEPT}body") or "" for stanza in found)
    assert "User?" in said


async def test_req_717_a_flood_is_not_answered_with_a_flood(house: House) -> None:
    await running(house)
    found = await answers(
        house,
        *(ping(STRANGER, n) + message(STRANGER, n) + subscribe(STRANGER) for n in range(300)),
    )
    assert len(found) <= 60 + 30
    assert conditions(found)["wait resource-constraint"] == 30
    assert events(house).count("limit_reached") == 1
    assert conditions(await answers(house, message(ALICE, 1))) == {}
    assert len(house.network.sent) == 1
    await house.clock.advance(60)
    assert len(await answers(house, ping(STRANGER, 1000))) == 1
    await answers(house, *(ping(STRANGER, n) for n in range(100)))
    said = [log for log in house.logs if log["event"] == "limit_reached"]
    assert [log["unsaid"] for log in said] == [0, 839]


@pytest.mark.parametrize(
    ("address", "allowed"),
    [("m{n}@evil.example", 300), ("m@evil{n}.example", 3000)],
    ids=["one-domain", "many-domains"],
)
async def test_req_711_strangers_are_measured_by_domain_and_all_together(
    house: House, address: str, allowed: int
) -> None:
    await running(house)
    for start in range(0, 6000, 500):
        await_none = (ping(address.format(n=n), n) for n in range(start, start + 500))
        house.server.send("".join(await_none))
    await house.clock.settle()
    found = await answers(house)
    assert conditions(found)[""] == allowed
    assert conditions(await answers(house, ping("new@home.example", 1))) == {"": 1}


async def test_req_711_people_admitted_by_name_are_not_touched_by_strangers(house: House) -> None:
    await running(house)
    for start in range(0, 6000, 500):
        house.server.send(
            "".join(ping(f"m@evil{n}.example", n) for n in range(start, start + 500))
        )
    await answers(house)
    assert conditions(await answers(house, ping("new@far.example", 1))) == {"": 1}


@pytest.mark.parametrize(
    "allow", [(ALICE,), ("far.example",)], ids=["one-of-them", "none-of-them"]
)
async def test_req_129_711_people_of_our_own_server_are_no_strangers(
    house: House, allow: tuple[str, ...]
) -> None:
    """Their clients ask what the gateway is, whether or not the admin admits them."""
    house.options.allow = allow
    await house.start()
    await house.connected()
    asked = [ping(f"u{n}@home.example", n) + ping(f"u{n}@home.example", -n) for n in range(1000)]
    assert conditions(await answers(house, *asked)) == {"": 2000}
    house.options.limits = LimitsConfig(iqs=RateConfig((10, 60)))
    await house.stop()
    await house.start()
    await house.connected()
    found = conditions(await answers(house, *asked))  # 10 for each, and 200 for the domain
    assert found == {"": 200, "wait resource-constraint": 1800}


LOGIN = "<command xmlns='http://jabber.org/protocol/commands' node='register'/>"


def command(sender: str, node: str = LOGIN) -> str:
    """Begin a login."""
    return ping(sender, 1).replace("'get'", "'set'").replace("<ping xmlns='urn:xmpp:ping'/>", node)


@pytest.mark.parametrize("begin", [command(STRANGER), message(STRANGER, 1, "login", GATEWAY)])
async def test_req_711_who_begins_a_login_is_still_a_stranger(house: House, begin: str) -> None:
    """One word of theirs took them out of all limits for strangers, and their whole domain."""
    house.options.allow = ("*",)
    await house.start()
    await house.connected()
    await answers(house, begin)
    found = conditions(await answers(house, *(ping(STRANGER, n) for n in range(100))))
    assert found == {"": 59, "wait resource-constraint": 30}


async def test_req_711_logins_of_strangers_are_counted_too(house: House) -> None:
    house.options.allow = ("*",)
    house.options.limits = LimitsConfig(logins=RateConfig((3, 600)))
    await house.start()
    await house.connected()
    form = (
        "<query xmlns='jabber:iq:register'><username>alice</username><password>no</password>"
        "</query>"
    )
    found = await answers(house, *(command(STRANGER, form) for _ in range(5)))
    found = [stanza for stanza in found if stanza.tag == f"{ACCEPT}iq"]
    assert conditions(found) == {"": 3, "wait resource-constraint": 2}


@pytest.mark.parametrize("face", ["ad-hoc", "chat"])
async def test_req_712_commands_of_strangers_are_bounded(
    house: House, monkeypatch: pytest.MonkeyPatch, face: str
) -> None:
    """10 kB each, for half an hour: 45,000 of them were half a gigabyte."""
    monkeypatch.setattr(limits, "_GUESTS", 20)
    monkeypatch.setattr(limits, "_GUESTS_OF_DOMAIN", 5)
    house.options.allow = ("*",)
    house.options.admins = ("root@far.example",)
    await house.start()
    await house.connected()

    async def begins(*users: str) -> int:
        ways = {"ad-hoc": command, "chat": lambda user: message(user, 1, "login", GATEWAY)}
        found = await answers(house, *map(ways[face], users))
        return len({s.get("to") for s in found if "User" in "".join(_labels(s))})

    assert await begins(*(f"m{n}@evil.example" for n in range(10))) == 5
    assert await begins(*(f"m@evil{n}.example" for n in range(20))) == 15
    # Nobody of our own server is touched by that, nor an admin elsewhere.
    assert await begins("new@home.example", "root@far.example") == 2
    if face == "chat":
        await answers(house, message("m1@evil.example", 2, "cancel", GATEWAY))
        assert await begins("m9@evil.example") == 1
    await house.clock.advance(901)
    assert not house.component.guests._domains
    assert not [t for t in asyncio.all_tasks() if "result of a command" in t.get_name()]


def _labels(stanza: Element) -> list[str]:
    fields = stanza.iter("{jabber:x:data}field")
    return [*stanza.itertext(), *(field.get("label", "") for field in fields)]


async def test_req_711_presence_floods_are_cheap(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    monkeypatch.setattr(house.store, "write", None)
    for kind in ("", " type='probe'", " type='subscribe'", " type='unsubscribed'"):
        for start in range(0, 2000, 500):
            house.server.send(
                "".join(
                    f"<presence{kind} from='m{n}@evil.example/x' to='bob@{GATEWAY}'/>"
                    for n in range(start, start + 500)
                )
            )
    assert len(await answers(house)) <= 300
    monkeypatch.undo()


# --- the rest (REQ-712, REQ-715) ----------------------------------------------------------------


def test_req_711_memory_is_bounded() -> None:
    buckets = Buckets(Rate(10, 60), kept=100)
    for number in range(10_000):
        assert buckets.take(f"u{number}@evil.example", 0)
    assert len(buckets) == 100


def test_req_711_a_bucket() -> None:
    buckets = Buckets(Rate(10, 60))
    assert [buckets.take("u", 0) for _ in range(12)] == [True] * 10 + [False] * 2
    assert [buckets.take("u", 6) for _ in range(2)] == [True, False]
    assert [buckets.take("u", 3600) for _ in range(12)] == [True] * 10 + [False] * 2
    assert buckets.take("v", 0)


async def test_req_711_the_log_has_one_line_a_minute() -> None:
    rarely = Rarely()
    assert [rarely.unsaid("x", now) for now in (0, 1, 59, 60, 61, 200)] == [
        0,
        None,
        None,
        2,
        None,
        1,
    ]


async def test_req_712_requests_that_wait_are_bounded(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    monkeypatch.setattr(session(house), "find", never)
    monkeypatch.setattr(iq, "MAX_OPEN_OF_USER", 5)
    asked = [
        f"<iq type='get' from='{ALICE}/x' to='c{n}@{GATEWAY}' id='{n}'>"
        f"<query xmlns='{disco.INFO}'/></iq>"
        for n in range(8)
    ]
    assert conditions(await answers(house, *asked)) == {"wait resource-constraint": 3}
    await house.clock.advance(30)
    assert conditions(await answers(house)) == {"wait remote-server-timeout": 5}
    assert not house.component.iqs._open
    assert conditions(await answers(house, *asked)) == {"wait resource-constraint": 3}


async def test_req_712_requests_that_wait_are_bounded_in_total(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    monkeypatch.setattr(session(house), "find", never)
    monkeypatch.setattr(iq, "MAX_OPEN", 0)
    asked = (
        f"<iq type='get' from='{ALICE}/x' to='c@{GATEWAY}' id='1'>"
        f"<query xmlns='{disco.INFO}'/></iq>"
    )
    assert conditions(await answers(house, asked)) == {"wait resource-constraint": 1}


async def test_req_715_the_same_text_again_and_again_is_a_loop(house: House) -> None:
    await running(house)
    found = await answers(house, *(message(ALICE, n, "pong") for n in range(30)))
    assert conditions(found) == {"wait resource-constraint": 10}
    assert len(house.network.sent) == 20
    assert conditions(await answers(house, message(ALICE, 40, "something else"))) == {}
    await house.clock.advance(60)
    assert conditions(await answers(house, message(ALICE, 41, "pong"))) == {}


async def test_req_715_two_bots_come_to_rest(house: House) -> None:
    """Each answers whatever it hears with the same text."""
    await running(house)
    await house.clock.advance(3)
    house.network.says("alice", "bob", "I do not understand.")
    seen = 0
    for number in range(60):
        for heard in await answers(house):
            if heard.get("type") != "error":
                house.server.send(message(ALICE, number, "Neither do I."))
        await house.clock.settle()
        for _ in house.network.sent[seen:]:
            seen += 1
            house.network.says("alice", "bob", "I do not understand.")
    assert len(house.network.sent) == 20
    assert await answers(house) == []


async def test_req_715_a_bot_that_talks_with_the_gateway_itself_comes_to_rest(
    house: House,
) -> None:
    """A client that says it is away, to whatever it hears; half a second is its way there."""
    await running(house)
    found = await answers(house, message(ALICE, 0, "hello", GATEWAY))
    rounds = 0
    while rounds < 100 and any(heard.get("type") == "chat" for heard in found):
        rounds += 1
        await house.clock.advance(0.5)
        found = await answers(house, message(ALICE, rounds, "I am away.", GATEWAY))
    assert rounds == 21
    assert conditions(found) == {"wait resource-constraint": 1}


def test_req_715_only_what_is_the_same_counts() -> None:
    repeats = Repeats()
    alice, carol = UserJid("alice@home.example"), UserJid("carol@home.example")
    assert not any(repeats.is_loop(alice, "bob", f"{n}", 0) for n in range(100))
    assert not any(repeats.is_loop(alice, "bob", "ok", n * 4) for n in range(100))
    assert not any(repeats.is_loop(alice, f"c{n}", "ok", 0) for n in range(100))
    assert [repeats.is_loop(carol, "bob", "ok", n) for n in range(25)] == [False] * 20 + [True] * 5
