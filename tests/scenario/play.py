# SPDX-License-Identifier: Apache-2.0
"""What the lines of a script do."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tests.scenario.house import House
from tests.scenario.patterns import ACCEPT, Mismatch, Names, fill, match, parse, shown

_LIMIT_S = 5.0
_UNITS = {"s": 1, "min": 60, "h": 3600, "days": 86400}
F = TypeVar("F", bound=Callable[..., Awaitable[None]])

VOCABULARY: list[tuple[re.Pattern[str], str]] = []
_PARTS = {
    "<who>": r"(\w+)",
    "<person>": r"(.+?)",
    "<jid>": r"(\S+@\S+)",
    "<text>": r'("(?:[^"\\]|\\.)*"(?: x \d+)?)',
    "<name>": r"(?: = (\w+))?",
    "<json>": r"(\{.*\})",
    "<n>": r"(\d+)",
    "<rest>": r"(.+)",
}


def step(line: str) -> Callable[[F], F]:
    """This line of a script does that."""
    pattern = re.sub(r"<\w+>", lambda part: _PARTS[part[0]], line)

    def add(method: F) -> F:
        VOCABULARY.append((re.compile(pattern), method.__name__))
        return method

    return add


def _said(text: str) -> str:
    """``"hello"``, with JSON's escapes, or ``"a" x 1000``."""
    quoted, _, times = text.rpartition(" x ") if text[-1] != '"' else (text, "", "1")
    return str(json.loads(quoted)) * int(times)


class Play:
    """One script being played in a house."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.clock, self.server, self.network = house.clock, house.server, house.network
        self.names: Names = {}
        self._seen_texts = 0
        self._seen_commands = 0
        self._expected_logs: set[str] = set()

    # --- beginning and end ----------------------------------------------------------------------

    async def begin(self) -> None:
        """Start the gateway."""
        await self.house.start()
        await self.house.connected()

    async def end(self) -> None:
        """What was not expected fails the script, whether it was sent, logged or done."""
        await self.clock.settle()
        self._nothing_waits()
        self._nothing_unseen()
        assert not self.server.violations, f"the server would end the stream: {self.server}"
        bad = [
            log
            for log in self.house.logs
            if log["log_level"] in ("error", "critical")
            and log["event"] not in self._expected_logs
        ]
        assert not bad, f"logged as errors: {bad}"

    def state(self) -> str:
        """For a failure: what else there is."""
        waiting = list(vars(self.server.received)["_queue"])
        stanzas = "\n".join(map(shown, waiting)) or "  nothing"
        logs = "\n".join(f"  {log}" for log in self.house.logs[-12:])
        return f"\nsent by the gateway and not looked at yet:\n{stanzas}\n\nlog:\n{logs}"

    def _nothing_waits(self) -> None:
        waiting = list(vars(self.server.received)["_queue"])
        assert not waiting, "unexpected:\n" + "\n".join(map(shown, waiting))

    def _nothing_unseen(self) -> None:
        unseen = [
            *self.network.sent[self._seen_texts :],
            *self.network.commands[self._seen_commands :],
        ]
        assert not unseen, f"unexpected on the network: {unseen}"

    async def _forget(self) -> None:
        """What belongs to the set-up is not looked at."""
        await self.clock.settle()
        self.server.received = asyncio.Queue()
        await self.house.forget_presence()
        self._seen_texts = len(self.network.sent)
        self._seen_commands = len(self.network.commands)

    # --- what was before ------------------------------------------------------------------------

    @step("given <jid> is linked as <who>")
    async def given_linked(self, user: str, account: str) -> None:
        await self.house.link(user, account)
        await self._forget()

    @step("given <who> is a contact of <jid>")
    async def given_contact(self, contact: str, user: str) -> None:
        puppet = f"{contact}@{self.server.component}"
        for kind in ("subscribe", "subscribed"):
            self.server.send(f"<presence type='{kind}' from='{user}' to='{puppet}'/>")
            await self.clock.settle()
        await self._forget()

    @step("<jid> sets (\\w+): (\\S+)")
    async def sets(self, user: str, name: str, value: str) -> None:
        await self.house.change_setting(user, name, value)

    @step("given all that is settled")
    async def given_settled(self) -> None:
        await self.clock.advance(3)
        await self._forget()

    # --- the server -----------------------------------------------------------------------------

    @step("server sends:")
    async def server_sends(self, xml: str) -> None:
        self.server.send(fill(xml, self.names))
        await self.clock.settle()

    @step("server sends in pieces of <n> bytes:")
    async def server_sends_in_pieces(self, size: str, xml: str) -> None:
        await self.server.send_in_pieces(fill(xml, self.names), int(size))
        await self.clock.settle()

    @step("server sends <n> times:")
    async def server_sends_often(self, times: str, xml: str) -> None:
        """With {n} for the number."""
        for number in range(1, int(times) + 1):
            self.server.send(fill(xml, {**self.names, "n": str(number)}))
        await self.clock.settle()

    @step("(\\S+@\\S+/\\S+) tells the gateway <text>")
    async def tells(self, device: str, text: str) -> None:
        self.server.send(
            f"<message from='{device}' to='{self.server.component}' type='chat'>"
            f"<body>{_said(text)}</body></message>"
        )
        await self.clock.settle()

    @step("server sends a body of <text>:")
    async def server_sends_body(self, text: str, xml: str) -> None:
        self.server.send(fill(xml, {**self.names, "body": _said(text)}))
        await self.clock.settle()

    @step("gateway (?:answers|sends):")
    async def gateway_sends(self, xml: str) -> None:
        for pattern in parse(xml):
            try:
                async with asyncio.timeout(_LIMIT_S):
                    actual = await self.server.received.get()
            except TimeoutError:
                raise Mismatch(f"nothing came; expected:\n{shown(pattern)}") from None
            match(pattern, actual, self.names)

    @step("gateway sends presences of <n> occupants to <jid>")
    async def gateway_sends_presences(self, number: str, session: str) -> None:
        """Different ones, whatever they say of them."""
        senders = set()
        for _ in range(int(number)):
            async with asyncio.timeout(_LIMIT_S):
                actual = await self.server.received.get()
            assert actual.tag == f"{ACCEPT}presence", shown(actual)
            assert actual.get("to") == session, shown(actual)
            senders.add(actual.get("from"))
        assert len(senders) == int(number), senders

    @step("gateway sends at length <n>:")
    async def gateway_sends_long(self, length: str, xml: str) -> None:
        """The parts of one text, each like the pattern, until their bodies are of that length."""
        found, ids = 0, set()
        (pattern,) = parse(xml)
        while found < int(length):
            async with asyncio.timeout(_LIMIT_S):
                actual = await self.server.received.get()
            match(pattern, actual, dict(self.names))
            found += len(actual.findtext("{jabber:component:accept}body") or "")
            ids.add(actual.get("id"))
        assert found == int(length), f"{found} characters came"
        assert len(ids) > 1, "one part only"

    @step("nothing more is sent")
    async def nothing_more(self) -> None:
        await self.clock.settle()
        self._nothing_waits()

    @step("server holds barriers")
    async def holds_barriers(self) -> None:
        self.server.answers_barriers = False

    @step("server answers barriers")
    async def answers_barriers(self) -> None:
        self.server.answer_barriers()
        await self.clock.settle()

    @step("the last barrier is called (\\w+)")
    async def names_barrier(self, name: str) -> None:
        self.names[name] = self.server.barriers[-1]

    @step("our server has been up for <n> s")
    async def up_for(self, seconds: str) -> None:
        self.server.uptime_s = int(seconds)

    @step("other servers (answer|are silent|are shown)")
    async def other_servers(self, how: str) -> None:
        self.server.others = how
        await self.clock.settle()

    @step("probes are shown")
    async def shows_probes(self) -> None:
        self.server.shows_probes = True

    @step("stream breaks")
    async def stream_breaks(self) -> None:
        await self.clock.settle()
        self.server.cut()
        await self.clock.settle()

    @step("gateway connects")
    async def connects(self) -> None:
        await self.clock.advance(2)
        await self.house.connected()

    # --- the network ----------------------------------------------------------------------------

    @step("network says: <person> -> <who> <text><name>")
    async def says(self, contact: str, account: str, text: str, name: str | None) -> None:
        message = self.network.says(account, contact, _said(text))
        self.names[name or "_"] = message
        await self.clock.settle()

    @step("network says, sent <n> s ago: <who> -> <who> <text>")
    async def said_before(self, age: str, contact: str, account: str, text: str) -> None:
        at = self.clock.now() - int(age)
        self.network.says(account, contact, _said(text), sent_at=at)
        await self.clock.settle()

    @step("network says, elsewhere: <who> -> <who> <text><name>")
    async def says_own(self, account: str, contact: str, text: str, name: str | None) -> None:
        message = self.network.says(account, contact, _said(text), own=True)
        self.names[name or "_"] = message
        await self.clock.settle()

    @step("network tells <who>: (\\w[\\w-]*) <json>")
    async def event(self, account: str, kind: str, fields: str) -> None:
        self.network.event(account, kind, **json.loads(fill(fields, self.names)))
        await self.clock.settle()

    @step("network tells <who> of <n> more members: <json>")
    async def large_room(self, account: str, number: str, fields: str) -> None:
        """In a room that is like this."""
        room = json.loads(fill(fields, self.names))
        room["members"] += [
            {"user": f"member{each}", "name": f"Member {each}"} for each in range(int(number))
        ]
        self.network.event(account, "room", **room)
        await self.clock.settle()

    @step("network repeats what it told <who>")
    async def repeats(self, account: str) -> None:
        for event in list(self.network._events[account]):
            fields = dict(event)
            self.network.event(account, fields.pop("type"), **fields)
        await self.clock.settle()

    @step("network shows: <who> to <who> <json>")
    async def shows(self, contact: str, account: str, presence: str) -> None:
        self.network.shows(account, contact, **json.loads(presence))
        await self.clock.settle()

    @step("network types: <who> -> <who>( no more)?")
    async def types(self, contact: str, account: str, stops: str | None) -> None:
        self.network.types(account, contact, not stops)
        await self.clock.settle()

    @step("network types: <who> -> ([!#]\\S+) for <who>( no more)?")
    async def types_in_room(self, user: str, room: str, account: str, stops: str | None) -> None:
        self.network.types_in_room(account, room, user, not stops)
        await self.clock.settle()

    @step("network sees: <who> -> <person> <text><name>")
    async def sees(self, account: str, contact: str, text: str, name: str | None) -> None:
        await self.network.until(lambda: len(self.network.sent) > self._seen_texts, _LIMIT_S)
        sent = self.network.sent[self._seen_texts]
        self._seen_texts += 1
        assert (sent.sender, sent.to, sent.body) == (account, contact, _said(text)), sent
        self.names[name or "_"] = sent.id
        await self.clock.settle()

    @step("network sees about it <json>")
    async def sees_about(self, fields: str) -> None:
        """Of the text that was seen last: what it answers or edits, and who is named."""
        about = self.network.sent[self._seen_texts - 1].about
        assert about == json.loads(fill(fields, self.names)), about

    @step("network sees <json>")
    async def sees_command(self, fields: str) -> None:
        await self.network.until(
            lambda: len(self.network.commands) > self._seen_commands, _LIMIT_S
        )
        seen: dict[str, Any] = self.network.commands[self._seen_commands]
        self._seen_commands += 1
        assert seen == json.loads(fill(fields, self.names)), seen
        await self.clock.settle()

    @step("network sees nothing more")
    async def sees_nothing(self) -> None:
        await self.clock.settle()
        self._nothing_unseen()

    @step("network fails next send: ([\\w-]+) <text>")
    async def fails(self, error: str, text: str) -> None:
        self.network.faults.append({"error": error, "text": _said(text)})

    @step("network fails next <n> sends: ([\\w-]+) <text>")
    async def fails_often(self, times: str, error: str, text: str) -> None:
        self.network.faults += [{"error": error, "text": _said(text)}] * int(times)

    @step("network fails next send: rate <text>, again in <n> s")
    async def limits_rate(self, text: str, seconds: str) -> None:
        self.network.faults.append(
            {"error": "rate", "text": _said(text), "retry_after_s": int(seconds)}
        )

    @step("network (loses|does not answer) the next send")
    async def silent(self, how: str) -> None:
        self.network.faults.append({"silent": "before" if how == "loses" else "after"})

    @step("network lets the next send through")
    async def lets_through(self) -> None:
        self.network.faults.append({})

    @step("network (answers nothing|answers again)")
    async def mutes(self, how: str) -> None:
        self.network.mute = how == "answers nothing"

    @step("network (is down|is up|hangs up)")
    async def changes(self, how: str) -> None:
        if how == "is down":
            await self.network.stop()
        elif how == "is up":
            await self.network.start()
        else:
            self.network.cut()
        await self.clock.settle()

    @step("network revokes the login of <who>")
    async def revokes(self, account: str) -> None:
        self.network.revoke(account)
        await self.clock.settle()

    @step("network knows <person> called <text>")
    async def knows(self, contact: str, name: str) -> None:
        self.network.people[contact] = _said(name)

    @step("network has banned <who>")
    async def bans(self, user: str) -> None:
        self.network.banned.append(user)

    @step("network lists <json>")
    async def lists(self, fields: str) -> None:
        self.network.directory.append(json.loads(fields))

    @step("network has of the past: <json>")
    async def has_of_the_past(self, content: str) -> None:
        """The oldest first; of a room, what was said live as well."""
        event = json.loads(content)
        at = self.clock.now() - 1000
        self.network.past[event["room"]].append({"type": "room-message", "sent_at": at, **event})

    @step("network calls (\\S+) (\\S+)")
    async def calls(self, room: str, name: str) -> None:
        self.network.aliases[name] = room

    @step("network makes (\\S+) next")
    async def makes(self, room: str) -> None:
        self.network.aliases[""] = room

    # --- time and the gateway itself ------------------------------------------------------------

    @step("time passes: <n> (s|min|h|days)")
    async def passes(self, number: str, unit: str) -> None:
        await self.clock.advance(int(number) * _UNITS[unit])

    @step("the machine sleeps: <n> (s|min|h|days)")
    async def leaps(self, number: str, unit: str) -> None:
        await self.clock.leap(int(number) * _UNITS[unit])

    @step("gateway (is killed|restarts)")
    async def restarts(self, how: str) -> None:
        await self.clock.settle()
        self.server.up.clear()
        await (self.house.kill() if how == "is killed" else self.house.stop())
        await self.house.start()
        await self.house.connected()

    @step("gateway (stops|starts)")
    async def stops(self, how: str) -> None:
        await self.clock.settle()
        if how == "stops":
            await self.house.stop()
        else:
            await self.house.start()
            await self.house.connected()

    @step("database: <rest> = <rest>")
    async def database(self, sql: str, expected: str) -> None:
        await self.clock.settle()
        ((found,),) = self.house.query(fill(sql, self.names))
        assert str(found) == fill(expected, self.names), found

    @step("log has: (\\w+)")
    async def log_has(self, event: str) -> None:
        self._expected_logs.add(event)
        events = [log["event"] for log in self.house.logs]
        assert event in events, events

    @step("log has once: (\\w+)")
    async def log_has_once(self, event: str) -> None:
        assert [log["event"] for log in self.house.logs].count(event) == 1

    @step("log never has: <text>")
    async def log_never_has(self, text: str) -> None:
        logs = [log for log in self.house.logs if log["log_level"] != "debug"]
        assert _said(text) not in repr(logs), logs
