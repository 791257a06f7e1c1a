# SPDX-License-Identifier: Apache-2.0
"""What people on the network do, and see of the gateway."""

from __future__ import annotations

import io
import json
from typing import Any

from PIL import Image

from tests.scenario.house import RELAY
from tests.scenario.patterns import fill
from tests.scenario.steps.stage import LIMIT_S, Stage
from tests.scenario.steps.vocabulary import said, step


class NetworkSteps(Stage):
    """Of all of them."""

    @step("network says: <person> -> <who> <text><name>")
    async def says(self, contact: str, account: str, text: str, name: str | None) -> None:
        message = self.network.says(account, contact, said(text))
        self.names[name or "_"] = message
        await self.clock.settle()

    @step("network says, sent <n> s ago: <who> -> <who> <text>")
    async def said_before(self, age: str, contact: str, account: str, text: str) -> None:
        at = self.clock.now() - int(age)
        self.network.says(account, contact, said(text), sent_at=at)
        await self.clock.settle()

    @step("network says, elsewhere: <who> -> <who> <text><name>")
    async def says_own(self, account: str, contact: str, text: str, name: str | None) -> None:
        message = self.network.says(account, contact, said(text), own=True)
        self.names[name or "_"] = message
        await self.clock.settle()

    @step("network tells <who>: (\\w[\\w-]*) <json>")
    async def event(self, account: str, kind: str, fields: str) -> None:
        self.network.event(account, kind, **json.loads(fill(fields, self.names)))
        await self.clock.settle()

    @step("network tells <who> <n> times: (\\w[\\w-]*) <json>")
    async def events(self, account: str, times: str, kind: str, fields: str) -> None:
        """With {n} for the number."""
        for number in range(1, int(times) + 1):
            names = {**self.names, "n": str(number)}
            self.network.event(account, kind, **json.loads(fill(fields, names)))
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
        await self.network.until(lambda: len(self.network.sent) > self._seen_texts, LIMIT_S)
        sent = self.network.sent[self._seen_texts]
        self._seen_texts += 1
        body = said(fill(text, self.names))
        assert (sent.sender, sent.to, sent.body) == (account, contact, body), sent
        self.names[name or "_"] = sent.id
        await self.clock.settle()

    @step("network sees <n> times: <who> -> <person> <text>")
    async def sees_often(self, times: str, account: str, contact: str, text: str) -> None:
        for _ in range(int(times)):
            await self.sees(account, contact, text, None)

    @step("network sees about it <json>")
    async def sees_about(self, fields: str) -> None:
        """Of the text that was seen last: what it answers or edits, and who is named."""
        about = self.network.sent[self._seen_texts - 1].about
        assert about == json.loads(fill(fields, self.names)), about

    @step("network sees styles (.*)")
    async def sees_styles(self, styles: str) -> None:
        """Of the text that was seen last: ``bold 0-6, link 8-12 https://…``, without marks."""
        seen = [
            f"{each['style']} {each['begin']}-{each['end']} {each.get('value', '')}".rstrip()
            for each in self.network.sent[self._seen_texts - 1].spans
            if each["style"] != "mark"
        ]
        assert ", ".join(seen or ["none"]) == styles, seen

    @step("network sees <json>")
    async def sees_command(self, fields: str) -> None:
        await self.network.until(lambda: len(self.network.commands) > self._seen_commands, LIMIT_S)
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
        self.network.faults.append({"error": error, "text": said(text)})

    @step("network fails next <n> sends: ([\\w-]+) <text>")
    async def fails_often(self, times: str, error: str, text: str) -> None:
        self.network.faults += [{"error": error, "text": said(text)}] * int(times)

    @step("network fails next send: rate <text>, again in <n> s")
    async def limits_rate(self, text: str, seconds: str) -> None:
        self.network.faults.append(
            {"error": "rate", "text": said(text), "retry_after_s": int(seconds)}
        )

    @step("network (loses|does not answer) the next send")
    async def silent(self, how: str) -> None:
        self.network.faults.append({"silent": "before" if how == "loses" else "after"})

    @step("network has lost it")
    async def has_lost(self) -> None:
        await self.network.until(lambda: not self.network.faults, LIMIT_S)

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
        self.network.people[contact] = said(name)

    @step("network has the pictures <rest>")
    async def pictures(self, named: str) -> None:
        """Each with its colour: ``p-bob = red, p-new = green``."""
        for one in named.split(", "):
            reference, _, colour = one.partition(" = ")
            made = io.BytesIO()
            Image.new("RGB", (300, 300), colour).save(made, "PNG")
            self.network.avatars[reference] = made.getvalue()

    @step("network was asked for (nothing|[\\w-]+(?:, [\\w-]+)*)")
    async def asked_for(self, references: str) -> None:
        """The pictures that were fetched since the script last looked."""
        await self.clock.settle()
        wanted = [] if references == "nothing" else references.split(", ")
        assert self.network.fetched == wanted, self.network.fetched
        self.network.fetched.clear()

    @step("network has the contacts <json>")
    async def has_contacts(self, names: str) -> None:
        """By id; a star before the name says that something was said."""
        self.network.contacts += [
            {"id": id, "name": name.lstrip("*"), "was_talked_with": name.startswith("*")}
            for id, name in json.loads(names).items()
        ]

    @step("network has blocked for <who>: <json>")
    async def has_blocked(self, account: str, users: str) -> None:
        """These are all, as another app has set them."""
        self.network.blocked[account] = set(json.loads(users)["users"])
        self.network.event(account, "room-ignored", **json.loads(users))
        await self.clock.settle()

    @step("network has a poll in (\\S+): <json>")
    async def has_a_poll(self, place: str, fields: str) -> None:
        self.network.polls[place] = json.loads(fields)

    @step("network has banned <who>")
    async def bans(self, user: str) -> None:
        self.network.banned.append(user)

    @step("network sends the code (\\S+) in (\\S+) by (its owner|an admin)")
    async def sends_code(self, code: str, room: str, who: str) -> None:
        """That which links a group, as the gateway's own account sees it."""
        code, is_owner = fill(code, self.names), who == "its owner"
        self.network.event(RELAY, "link", room=room, code=code, is_owner=is_owner)
        await self.clock.settle()

    @step("network unlinks (\\S+)")
    async def unlinks(self, room: str) -> None:
        """An admin of a group wants that."""
        self.network.event(RELAY, "unlink", room=room)
        await self.clock.settle()

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
