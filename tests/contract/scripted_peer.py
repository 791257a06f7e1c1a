# SPDX-License-Identifier: Apache-2.0
"""The scripted network as a peer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import msgspec

from gateway.adapter import Adapter
from gateway.events import Author, Availability, ContactCard, LinkPreview, Presence, RoomAction
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from tests.contract.account import Account, Context
from tests.contract.peer import Peer, Place
from tests.scripted.adapter import ScriptedSettings, fields_of, token_of_house
from tests.scripted.server import ScriptedNetwork, SentText

_RELAY = "relay"
"""The account of the house."""


class ScriptedPeer(Peer):
    """Alice, bob and carol on a network of their own."""

    alice = RemoteUserId("alice")
    bob = RemoteUserId("bob")
    carol = RemoteUserId("carol")
    nobody = RemoteUserId("nobody")

    def __init__(
        self, kind: type[Adapter], network: ScriptedNetwork, http: aiohttp.ClientSession
    ) -> None:
        settings = ScriptedSettings(port=network.port, house=_RELAY)
        context: Any = Context(http, settings)
        self.adapter = kind(context)
        self.http = http
        self.network = network
        network.people = {"bob": "Bob", "carol": "Carol"}
        network.contacts = [{"id": "bob", "name": "Bob", "was_talked_with": True}]
        network.tokens[token_of_house(_RELAY)] = _RELAY
        network.idempotent = kind.capabilities.idempotent_send

    def answers(self) -> Mapping[str, str]:
        return {"username": "alice", "password": "secret"}

    def wrong_answers(self) -> Mapping[str, str]:
        return {"username": "alice", "password": "wrong"}

    async def says(self, body: str) -> RemoteMessageId:
        return RemoteMessageId(self.network.says("alice", "bob", body))

    async def says_elsewhere(self, body: str) -> RemoteMessageId:
        return RemoteMessageId(self.network.says("alice", "bob", body, own=True))

    async def heard(self, body: str) -> list[RemoteMessageId]:
        def found() -> list[RemoteMessageId]:
            return [RemoteMessageId(t.id) for t in self.network.sent if t.body == body]

        await self.network.until(lambda: bool(found()))
        return found()

    async def calls(self, call: str, *, elsewhere: bool = False) -> RemoteMessageId:
        return self._of_call(call, "rings", elsewhere)

    async def hangs_up(self, call: str, *, elsewhere: bool = False) -> RemoteMessageId:
        return self._of_call(call, "over", elsewhere)

    def _of_call(self, call: str, stage: str, own: bool) -> RemoteMessageId:
        id = RemoteMessageId(f"{call} {stage}")
        self.network.event("alice", "call", contact="bob", id=id, call=call, stage=stage, own=own)
        return id

    async def sees_file(
        self, group: Place, name: str
    ) -> tuple[RemoteMessageId | None, bytes, str]:
        def found() -> list[SentText]:
            there = (text for text in self.network.sent if text.to == (group or "bob"))
            return [text for text in there if text.file is not None and text.file["name"] == name]

        await self.network.until(lambda: bool(found()))
        (text,) = found()
        assert text.file is not None
        data = self.network.got[text.file["sha256"]]
        assert len(data) == text.file["size"]
        return RemoteMessageId(text.id), data, text.body

    async def nudges(self) -> RemoteMessageId:
        return RemoteMessageId(self.network.says("alice", "bob", "", attention=True))

    async def sees_nudge(self, message: RemoteMessageId) -> None:
        (sent,) = (text for text in self.network.sent if text.id == message)
        assert (sent.body, sent.about) == ("", {"attention": True})

    async def types(self, active: bool) -> None:
        self.network.types("alice", "bob", active)

    async def sees_typing(self, active: bool) -> None:
        await self._did({"op": "typing", "contact": "bob", "active": active})

    async def shows(self, presence: Presence) -> None:
        state = {"availability": presence.availability, "status": presence.status}
        self.network.shows("alice", "bob", **state, idle_since=presence.idle_since)

    async def sees_presence(self, availability: Availability, status: str = "") -> None:
        await self._did({"op": "presence", "show": availability, "status": status})

    async def sees_profile(self, name: str, *, is_pictured: bool) -> None:
        shown: dict[str, Any] = {}
        for command in self.network.commands:
            shown |= command if command["op"] == "profile" else {}
        assert (shown["name"], bool(shown["picture"])) == (name, is_pictured)

    async def reads(self, message: RemoteMessageId) -> None:
        self.network.event("alice", "read", contact="bob", id=message)

    async def sees_read(self, message: RemoteMessageId) -> None:
        await self._did({"op": "read", "contact": "bob", "up_to": message})

    async def removes_contact(self) -> None:
        self.network.event("alice", "contact-gone", contact="bob", id="g1")

    async def carol_invites(self) -> None:
        self.network.event("alice", "invite", contact="carol", id="i1")

    async def carol_withdraws(self) -> None:
        self.network.event("alice", "invite-gone", contact="carol")

    async def carol_is_answered(self, accepted: bool) -> None:
        await self._did({"op": "accept" if accepted else "decline", "contact": "carol"})

    async def says_secretly(self) -> None:
        self.network.event("alice", "encrypted", contact="bob", id="e1", content="{}")

    async def makes_group(self, name: str) -> RemoteRoomId:
        members = [{"user": "alice"}, {"user": "bob", "name": "Bob", "affiliation": "owner"}]
        self.network.event("alice", "room", room="!g", name=name, is_new=True, members=members)
        return RemoteRoomId("!g")

    async def links_group(self, name: str, code: str) -> RemoteRoomId:
        self.network.event(_RELAY, "link", room="!h", code=code, is_owner=True)
        members = [{"user": _RELAY}, {"user": "bob", "name": "Bob", "affiliation": "owner"}]
        self.network.event(_RELAY, "room", room="!h", name=name, members=members)
        return RemoteRoomId("!h")

    async def unlinks_group(self, group: RemoteRoomId) -> None:
        self.network.event(_RELAY, "unlink", room=group)

    async def sees_said_for(self, group: RemoteRoomId, author: Author, body: str) -> None:
        await self.network.until(lambda: any(text.body == body for text in self.network.sent))
        (said,) = self.network.sent
        assert (said.sender, said.to) == (_RELAY, group)
        assert said.about["author"] == fields_of(author)

    async def had_group(
        self, name: str, said: Sequence[str]
    ) -> tuple[RemoteRoomId, list[RemoteMessageId]]:
        ids = [f"past-{number}" for number in range(len(said))]
        past = self.network.past["!g"]
        for message, body in zip(ids, said, strict=True):
            text = {"id": message, "sender": "bob", "body": "" if message == ids[1] else body}
            past.append({"type": "room-message", "room": "!g", "sent_at": 1.0, **text})
            if message == ids[1]:
                gone = {"id": "gone", "message": message, "by": "bob"}
                past.append({"type": "room-retraction", "room": "!g", "sent_at": 2.0, **gone})
        return RemoteRoomId("!g"), list(map(RemoteMessageId, ids))

    async def invites_to_group(self, name: str) -> RemoteRoomId:
        invite = {"id": "i1", "inviter": "bob", "inviter_name": "Bob", "name": name}
        self.network.event("alice", "room-invite", room="!i", **invite)
        self.network.aliases[""] = "!made"
        return RemoteRoomId("!i")

    async def lets_in(self, group: RemoteRoomId, name: str) -> None:
        members = [{"user": "alice"}, {"user": "bob"}]
        self.network.event("alice", "room", room=group, name=name, is_new=True, members=members)

    async def lets_out(self, group: RemoteRoomId) -> None:
        self.network.event("alice", "member-gone", room=group, user="alice")

    async def says_in_group(self, group: RemoteRoomId, body: str) -> RemoteMessageId:
        return self._said(group, body)

    async def heard_in_group(self, group: RemoteRoomId, body: str) -> list[RemoteMessageId]:
        return await self.heard(body)

    async def removes_from_group(self, group: RemoteRoomId, reason: str) -> None:
        gone = {"user": "alice", "how": "kicked", "actor": "bob", "reason": reason}
        self.network.event("alice", "member-gone", room=group, **gone)

    async def edits(
        self, group: Place, message: RemoteMessageId, body: str, *, elsewhere: bool = False
    ) -> RemoteMessageId:
        return self._said(group, body, elsewhere=elsewhere, edits=message)

    async def shares(
        self, group: Place, data: bytes, name: str, body: str = ""
    ) -> RemoteMessageId:
        reference = f"file {len(self.network.files)}"
        self.network.files[reference] = data
        known = {"reference": reference, "name": name, "size": len(data)}
        return self._said(group, body, files=[known])

    async def tells_of(self, group: Place, card: ContactCard) -> RemoteMessageId:
        return self._said(group, "", cards=[msgspec.to_builtins(card)])

    async def links_to(self, group: Place, body: str, preview: LinkPreview) -> RemoteMessageId:
        return self._said(group, body, previews=[msgspec.to_builtins(preview)])

    async def sees_preview(self, group: Place, body: str, preview: LinkPreview) -> None:
        await self._told(group, "message", body=body, previews=[fields_of(preview)])

    async def asks(self, group: Place, question: str, answers: Sequence[str]) -> RemoteMessageId:
        asked = self._said(group, question)
        where = group or "bob"
        poll = {"reference": f"{where} {asked}", "question": question, "answers": answers}
        self.network.polls[where] = poll
        return asked

    async def sees_vote(self, group: Place, poll: RemoteMessageId, answer: str) -> None:
        asked = self.network.polls[group or "bob"]
        assert asked["reference"].endswith(f" {poll}")
        place = asked["answers"].index(answer)
        await self._did({"op": "vote", "poll": asked["reference"], "answers": [place]})

    async def sees_report(self, reason: str) -> None:
        await self._did({"op": "report", "contact": "bob", "reason": reason})

    async def sees_muted(self, group: Place, is_muted: bool) -> None:
        await self._did({"op": "mute", "of": group or "bob", "muted": is_muted})

    async def sees_edit(self, group: Place, message: RemoteMessageId, body: str) -> None:
        await self._told(group, "message", edits=message, body=body)

    async def replies(self, group: Place, message: RemoteMessageId, body: str) -> RemoteMessageId:
        return self._said(group, body, reply_to=message)

    async def sees_quote(
        self, group: Place, message: RemoteMessageId, part: str, body: str
    ) -> None:
        await self._told(group, "message", reply_to=message, cites=part, body=body)

    async def sees_reply(self, group: Place, message: RemoteMessageId, body: str) -> None:
        await self._told(group, "message", reply_to=message, body=body)

    async def says_in_thread(
        self, group: Place, root: RemoteMessageId, after: RemoteMessageId, body: str
    ) -> RemoteMessageId:
        return self._said(group, body, thread=root, thread_after=after)

    async def sees_in_thread(
        self,
        group: Place,
        root: RemoteMessageId,
        after: RemoteMessageId,
        body: str,
        *,
        is_answer: bool,
    ) -> None:
        about = {"reply_to": after} if is_answer else {"thread_after": after}
        await self._told(group, "message", thread=root, body=body, **about)

    async def mentions(self, group: Place, before: str, after: str) -> None:
        place = {"begin": len(before), "end": len(before) + 5}
        body = f"{before}Alice{after}"
        self._said(group, body, mentions=[{"user": "alice", **place}])

    async def sees_mention(self, group: Place, body: str) -> None:
        begin = body.index("bob")
        mention = {"user": "bob", "begin": begin, "end": begin + 3}
        await self._told(group, "message", body=body, mentions=[mention])

    def _said(
        self, group: Place, body: str, *, elsewhere: bool = False, **about: Any
    ) -> RemoteMessageId:
        said = {"id": f"g-{body}", "body": body, **about}
        self._makes(group, "message", elsewhere=elsewhere, **said)
        return RemoteMessageId(said["id"])

    def _makes(self, group: Place, kind: str, *, elsewhere: bool, **made: Any) -> None:
        """In a chat an event is the contact's or the account's own; in a group it has a sender."""
        if group is None:
            own = {"own": True} if elsewhere else {}
            self.network.event("alice", kind, contact="bob", **own, **made)
        else:
            who = "by" if kind == "retraction" else "sender"
            sender = {who: "alice" if elsewhere else "bob"}
            self.network.event("alice", f"room-{kind}", room=group, **sender, **made)

    async def reacts(
        self, group: Place, message: RemoteMessageId, emoji: str, *, elsewhere: bool = False
    ) -> RemoteMessageId:
        made = {"id": f"r-{emoji}", "message": message, "emoji": emoji}
        self._makes(group, "reaction", elsewhere=elsewhere, **made)
        return RemoteMessageId(made["id"])

    async def sees_reactions(
        self, group: Place, message: RemoteMessageId, emoji: set[str]
    ) -> None:
        def seen() -> bool:
            return set(self.network.reactions["alice", group or "bob", message]) == emoji

        await self.network.until(seen)

    async def takes_back(
        self, group: Place, message: RemoteMessageId, *, elsewhere: bool = False
    ) -> None:
        gone = {"id": f"gone-{message}", "message": message}
        self._makes(group, "retraction", elsewhere=elsewhere, **gone)

    async def sees_taken_back(self, group: Place, message: RemoteMessageId) -> None:
        await self._told(group, "retraction", message=message)

    async def reads_in_group(self, group: RemoteRoomId, message: RemoteMessageId) -> None:
        self.network.event("alice", "room-read", room=group, reader="bob", up_to=message)

    async def sees_read_in_group(self, group: RemoteRoomId, message: RemoteMessageId) -> None:
        await self._did({"op": "read-room", "room": group, "up_to": message})

    async def types_in_group(self, group: RemoteRoomId, active: bool) -> None:
        self.network.types_in_room("alice", group, "bob", active)

    async def sees_typing_in_group(self, group: RemoteRoomId, active: bool) -> None:
        await self._did({"op": "room-typing", "room": group, "active": active})

    async def makes_own_group(self, name: str) -> RemoteRoomId:
        members = [{"user": "alice", "affiliation": "owner"}, {"user": "bob", "name": "Bob"}]
        self.network.event("alice", "room", room="!own", name=name, members=members)
        return RemoteRoomId("!own")

    async def publishes_group(self, name: str, topic: str) -> RemoteRoomId:
        listed = {"room": "!listed", "name": name, "topic": topic, "members": 1}
        self.network.directory.append({**listed, "address": "!listed"})
        return RemoteRoomId("!listed")

    async def pictures(self, group: RemoteRoomId, png: bytes) -> None:
        self.network.avatars["p1"] = png
        self.network.faces["bob"] = "p1"
        self.network.event("alice", "profile", contact="bob", name="Bob", avatar="p1")
        bob = {"user": "bob", "name": "Bob", "affiliation": "owner", "avatar": "p1"}
        self.network.event("alice", "member", room=group, member=bob)
        self.network.event("alice", "room", room=group, name="Group of the suite", avatar="p1")

    async def sees_action(self, action: RoomAction) -> None:
        await self._did({"op": "manage", "do": type(action).__name__, **fields_of(action)})

    async def go_down(self) -> None:
        await self.network.stop()

    async def come_up(self) -> None:
        await self.network.start()

    async def lose_next_answer(self) -> None:
        self.network.faults.append({"silent": "after", "cut": True})

    async def revoke(self, account: Account) -> None:
        self.network.revoke("alice")

    async def _did(self, command: dict[str, Any]) -> None:
        await self.network.until(lambda: command in self.network.commands)

    async def _told(self, group: Place, kind: str, **fields: Any) -> None:
        """Everybody was told of something that alice did in the chat or in a group."""
        if group is None:
            fields |= {"type": kind, "contact": "bob", "own": True}
        else:
            who = "by" if kind == "retraction" else "sender"
            fields |= {"type": f"room-{kind}", "room": group, who: "alice"}

        def is_told() -> bool:
            return any({**event, **fields} == event for event in self.network.told("alice"))

        await self.network.until(is_told)
