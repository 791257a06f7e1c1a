# SPDX-License-Identifier: Apache-2.0
"""A real Matrix homeserver as a peer, behind a wire that can be cut."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp

from adapters.matrix import MatrixAdapter, MatrixSettings
from gateway.events import (
    Affiliation,
    Availability,
    DescribeRoom,
    DestroyRoom,
    InviteToRoom,
    LiftBan,
    LinkPreview,
    ModerateMessage,
    Presence,
    RemoveFromRoom,
    RoomAction,
    SetAffiliation,
    SetRoomAvatar,
    SetVoice,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from tests.contract.account import Account, Context
from tests.contract.peer import Peer, Place
from tests.contract.proxy import Proxy
from tests.peers.matrix_client import MatrixClient, MatrixEvent
from tests.peers.synapse import Synapse

_numbers = itertools.count()
_PREVIEWS = "com.beeper.linkpreviews"
_STATES = {
    Availability.AVAILABLE: "online",
    Availability.AWAY: "unavailable",
    Availability.UNAVAILABLE: "offline",
}


class MatrixPeer(Peer):
    """People of one test on the shared homeserver."""

    def __init__(
        self,
        synapse: Synapse,
        proxy: Proxy,
        http: aiohttp.ClientSession,
        phone: MatrixClient,
        bob: MatrixClient,
        carol: MatrixClient,
    ) -> None:
        settings = MatrixSettings(allow_private_homeservers=True)
        context: Any = Context(http, settings)
        self.adapter = MatrixAdapter(context)
        self.http = http
        self.alice = RemoteUserId(phone.user_id)
        self.bob = RemoteUserId(bob.user_id)
        self.carol = RemoteUserId(carol.user_id)
        self.nobody = RemoteUserId(f"@nobody{next(_numbers)}:localhost")
        self._synapse, self._proxy = synapse, proxy
        self._url = f"http://127.0.0.1:{proxy.port}"
        self._phone, self._bob, self._carol = phone, bob, carol
        self._room = ""
        self._carols_room = ""

    async def meet(self) -> None:
        """Alice and bob have a chat."""
        self._room = await self._phone.create_direct(self.bob)
        await self._bob.join(self._room)
        await self._phone.wait_member(self._room, self.bob)

    def answers(self) -> Mapping[str, str]:
        return {"homeserver": self._url, "username": self._phone.user, "password": "secret"}

    def wrong_answers(self) -> Mapping[str, str]:
        return {**self.answers(), "password": "wrong"}

    async def says(self, body: str) -> RemoteMessageId:
        return RemoteMessageId(await self._bob.send_text(self._room, body))

    async def says_elsewhere(self, body: str) -> RemoteMessageId:
        return RemoteMessageId(await self._phone.send_text(self._room, body))

    async def heard(self, body: str) -> list[RemoteMessageId]:
        await self._bob.wait_text(body, room_id=self._room)
        # Whatever came before this is here as soon as this is.
        end = await self.says("(a marker)")
        await self._bob.wait_for(lambda event: event.event_id == end)
        found = self._bob.inbox.find(
            lambda event: event.section == "timeline" and event.body == body
        )
        return [RemoteMessageId(event.event_id) for event in found if event.sender == self.alice]

    async def calls(self, call: str, *, elsewhere: bool = False) -> RemoteMessageId:
        offer = {"type": "offer", "sdp": "v=0"}
        content = {"call_id": call, "version": 0, "lifetime": 60_000, "offer": offer}
        made = await self._who(elsewhere).send_event(self._room, "m.call.invite", content)
        return RemoteMessageId(made)

    async def hangs_up(self, call: str, *, elsewhere: bool = False) -> RemoteMessageId:
        content = {"call_id": call, "version": 0, "reason": "invite_timeout"}
        made = await self._who(elsewhere).send_event(self._room, "m.call.hangup", content)
        return RemoteMessageId(made)

    async def sees_file(
        self, group: Place, name: str
    ) -> tuple[RemoteMessageId | None, bytes, str]:
        def has_it(event: MatrixEvent) -> bool:
            content = event.content
            return event.section == "timeline" and content.get("filename", content) == name

        await self._bob.wait_for(has_it)
        end = await self._bob.send_text(self._place(group), "(a marker)")
        await self._bob.wait_for(lambda event: event.event_id == end)
        (event,) = self._bob.inbox.find(has_it)
        assert (event.room_id, event.sender) == (self._place(group), self.alice)
        data = await self._bob.download(event.content["url"])
        assert event.content["info"]["size"] == len(data)
        said = event.content["body"]
        return RemoteMessageId(event.event_id), data, "" if said == name else said

    async def types(self, active: bool) -> None:
        await self._bob.typing(self._room, active)

    async def sees_typing(self, active: bool) -> None:
        await self._bob.wait_typing(self._room, self.alice, typing=active)

    async def shows(self, presence: Presence) -> None:
        await self._bob.set_presence(_STATES[presence.availability], presence.status)

    async def is_alone(self) -> None:
        await self._phone.set_presence("offline", "")

    async def sees_presence(self, availability: Availability, status: str = "") -> None:
        wanted = (_STATES[availability], status or None)

        def found(event: MatrixEvent) -> bool:
            shown = (event.content.get("presence"), event.content.get("status_msg") or None)
            return (event.type, event.sender) == ("m.presence", self.alice) and shown == wanted

        await self._bob.wait_for(found)

    async def sees_profile(self, name: str, *, is_pictured: bool) -> None:
        shown = await self._bob.request("GET", f"profile/{quote(self.alice)}")
        assert shown.get("displayname") == name
        assert bool(shown.get("avatar_url")) == is_pictured

    async def reads(self, message: RemoteMessageId) -> None:
        await self._bob.read(self._room, message)

    async def sees_read(self, message: RemoteMessageId) -> None:
        await self._bob.wait_receipt(message, user_id=self.alice)

    async def removes_contact(self) -> None:
        raise NotImplementedError("Matrix has no list of contacts")

    async def carol_invites(self) -> None:
        # Not by the preset of direct chats: it gives both the power to expel the other one.
        body = {"preset": "private_chat", "is_direct": True, "invite": [self.alice]}
        answer = await self._carol.request("POST", "createRoom", body)
        self._carols_room = str(answer["room_id"])

    async def carol_withdraws(self) -> None:
        body = {"user_id": self.alice}
        await self._carol.request("POST", f"rooms/{self._carols_room}/kick", body)

    async def carol_is_answered(self, accepted: bool) -> None:
        membership = "join" if accepted else "leave"
        await self._carol.wait_member(self._carols_room, self.alice, membership)

    async def says_secretly(self) -> None:
        content = {
            "algorithm": "m.megolm.v1.aes-sha2",
            "ciphertext": "AwgAEnACgAkLmt6qF84IK++J7UDH2Za1YVchHyprqTqsg",
            "session_id": "X3lUlvLELLYxeTx4yOVu6UDpasGEVO0Jbu+QFnm0cKQ",
        }
        await self._bob.send_event(self._room, "m.room.encrypted", content)

    async def makes_group(self, name: str) -> RemoteRoomId:
        room = await self._bob.create_room(name=name, invite=[self.alice])
        await self._phone.wait_for(
            lambda event: event.section == "invite" and event.room_id == room
        )
        await self._phone.join(room)
        return RemoteRoomId(room)

    async def had_group(
        self, name: str, said: Sequence[str]
    ) -> tuple[RemoteRoomId, list[RemoteMessageId]]:
        group = await self.makes_group(name)
        ids = [await self.says_in_group(group, body) for body in said]
        await self.takes_back(group, ids[1])
        return group, ids

    async def invites_to_group(self, name: str) -> RemoteRoomId:
        return RemoteRoomId(await self._bob.create_room(name=name, invite=[self.alice]))

    async def says_in_group(self, group: RemoteRoomId, body: str) -> RemoteMessageId:
        return RemoteMessageId(await self._bob.send_text(group, body))

    async def heard_in_group(self, group: RemoteRoomId, body: str) -> list[RemoteMessageId]:
        await self._bob.wait_text(body, room_id=group)
        end = await self.says_in_group(group, "(a marker)")
        await self._bob.wait_for(lambda event: event.event_id == end)
        found = self._bob.inbox.find(
            lambda event: event.section == "timeline" and event.body == body
        )
        return [RemoteMessageId(event.event_id) for event in found if event.sender == self.alice]

    async def removes_from_group(self, group: RemoteRoomId, reason: str) -> None:
        body = {"user_id": self.alice, "reason": reason}
        await self._bob.request("POST", f"rooms/{quote(group, safe='')}/kick", body)

    def _place(self, group: Place) -> str:
        return group or self._room

    def _who(self, elsewhere: bool) -> MatrixClient:
        return self._phone if elsewhere else self._bob

    async def edits(
        self, group: Place, message: RemoteMessageId, body: str, *, elsewhere: bool = False
    ) -> RemoteMessageId:
        made = await self._who(elsewhere).edit(self._place(group), message, body)
        return RemoteMessageId(made)

    async def asks(self, group: Place, question: str, answers: Sequence[str]) -> RemoteMessageId:
        said = "org.matrix.msc1767.text"
        poll = {
            "kind": "org.matrix.msc3381.poll.disclosed",
            "max_selections": 1,
            "question": {said: question},
            "answers": [{"id": f"id of {answer}", said: answer} for answer in answers],
        }
        start = "org.matrix.msc3381.poll.start"
        asked = await self._bob.send_event(
            self._place(group), start, {start: poll, said: question}
        )
        return RemoteMessageId(asked)

    async def sees_vote(self, group: Place, poll: RemoteMessageId, answer: str) -> None:
        response = "org.matrix.msc3381.poll.response"
        relation = {"rel_type": "m.reference", "event_id": poll}

        def chosen(event: MatrixEvent) -> bool:
            content = event.content
            about = (event.type, event.sender, content.get("m.relates_to"))
            is_there = event.room_id == self._place(group)
            is_vote = is_there and about == (response, self.alice, relation)
            return is_vote and content[response] == {"answers": [f"id of {answer}"]}

        await self._bob.wait_for(chosen)

    async def sees_report(self, reason: str) -> None:
        token = await self._synapse.add_user(f"admin{next(_numbers)}", "secret", admin=True)
        url = f"{self._synapse.url}/_synapse/admin/v1/user_reports"
        bearer = {"Authorization": f"Bearer {token}"}
        async with self.http.get(url, headers=bearer) as answer:
            reports = (await answer.json())["user_reports"]
        mine = [one for one in reports if one["user_id"] == self.alice]
        assert [(one["target_user_id"], one["reason"]) for one in mine] == [(self.bob, reason)]

    async def sees_muted(self, group: Place, is_muted: bool) -> None:
        rules = (await self._phone.request("GET", "pushrules/"))["global"]["override"]
        muted = [rule for rule in rules if rule["rule_id"] == self._place(group)]
        assert [rule["actions"] for rule in muted] == [[]] * is_muted
        assert all(rule["enabled"] for rule in muted)

    async def sees_edit(self, group: Place, message: RemoteMessageId, body: str) -> None:
        relation = {"rel_type": "m.replace", "event_id": message}
        await self._sees(
            "m.new_content",
            lambda content: (
                (content["m.new_content"]["body"], content["m.relates_to"]) == (body, relation)
            ),
        )

    async def shares(
        self, group: Place, data: bytes, name: str, body: str = ""
    ) -> RemoteMessageId:
        content = {
            "msgtype": "m.file",
            "filename": name,
            "body": body or name,
            "url": await self._bob.upload(data, "application/octet-stream"),
            "info": {"size": len(data), "mimetype": "application/octet-stream"},
        }
        made = await self._bob.send_event(self._place(group), "m.room.message", content)
        return RemoteMessageId(made)

    async def links_to(self, group: Place, body: str, preview: LinkPreview) -> RemoteMessageId:
        content = {"msgtype": "m.text", "body": body, _PREVIEWS: [_preview(preview)]}
        made = await self._bob.send_event(self._place(group), "m.room.message", content)
        return RemoteMessageId(made)

    async def sees_preview(self, group: Place, body: str, preview: LinkPreview) -> None:
        expected = (body, [_preview(preview)])
        await self._sees(
            _PREVIEWS, lambda content: (content["body"], content[_PREVIEWS]) == expected
        )

    async def mentions(self, group: Place, before: str, after: str) -> None:
        link = f'<a href="https://matrix.to/#/{self.alice}">Alice</a>'
        content = {
            "msgtype": "m.text",
            "body": f"{before}Alice{after}",
            "format": "org.matrix.custom.html",
            "formatted_body": f"{before}{link}{after}",
            "m.mentions": {"user_ids": [self.alice]},
        }
        await self._bob.send_event(self._place(group), "m.room.message", content)

    async def sees_mention(self, group: Place, body: str) -> None:
        link = f'<a href="https://matrix.to/#/{self.bob}">bob</a>'
        await self._sees(
            "m.mentions",
            lambda content: (
                (content["body"], content["m.mentions"], content["formatted_body"])
                == (body, {"user_ids": [self.bob]}, body.replace("bob", link))
            ),
        )

    async def replies(self, group: Place, message: RemoteMessageId, body: str) -> RemoteMessageId:
        relation = {"m.in_reply_to": {"event_id": message}}
        quoted = f"> <{self.alice}> something\n\n{body}"
        content = {"msgtype": "m.text", "body": quoted, "m.relates_to": relation}
        made = await self._bob.send_event(self._place(group), "m.room.message", content)
        return RemoteMessageId(made)

    async def sees_reply(self, group: Place, message: RemoteMessageId, body: str) -> None:
        relation = {"m.in_reply_to": {"event_id": message}}
        await self._sees(
            "m.relates_to",
            lambda content: (content["body"], content["m.relates_to"]) == (body, relation),
        )

    async def says_in_thread(
        self, group: Place, root: RemoteMessageId, after: RemoteMessageId, body: str
    ) -> RemoteMessageId:
        content = {"msgtype": "m.text", "body": body, "m.relates_to": _in_thread(root, after)}
        return RemoteMessageId(
            await self._bob.send_event(self._place(group), "m.room.message", content)
        )

    async def sees_in_thread(
        self,
        group: Place,
        root: RemoteMessageId,
        after: RemoteMessageId,
        body: str,
        *,
        is_answer: bool,
    ) -> None:
        relation = _in_thread(root, after, is_falling_back=not is_answer)
        await self._sees(
            "m.relates_to",
            lambda content: (content["body"], content["m.relates_to"]) == (body, relation),
        )

    async def reacts(
        self, group: Place, message: RemoteMessageId, emoji: str, *, elsewhere: bool = False
    ) -> RemoteMessageId:
        made = await self._who(elsewhere).react(self._place(group), message, emoji)
        return RemoteMessageId(made)

    async def sees_reactions(
        self, group: Place, message: RemoteMessageId, emoji: set[str]
    ) -> None:
        def seen(_: MatrixEvent) -> bool:
            made: dict[str, str] = {}
            for event in self._bob.inbox.items:
                relation = event.content.get("m.relates_to", {})
                is_hers = event.type == "m.reaction" and event.sender == self.alice
                if is_hers and relation.get("event_id") == message:
                    made[event.event_id] = relation["key"]
                elif event.type == "m.room.redaction":
                    made.pop(str(event.raw.get("redacts")), None)
            return set(made.values()) == emoji

        await self._bob.wait_for(seen)

    async def takes_back(
        self, group: Place, message: RemoteMessageId, *, elsewhere: bool = False
    ) -> None:
        await self._who(elsewhere).redact(self._place(group), message)

    async def sees_taken_back(self, group: Place, message: RemoteMessageId) -> None:
        await self._bob.wait_for(
            lambda event: (
                event.type == "m.room.redaction"
                and event.sender == self.alice
                and event.raw.get("redacts") == message
            )
        )

    async def reads_in_group(self, group: RemoteRoomId, message: RemoteMessageId) -> None:
        await self._bob.read(group, message)

    async def sees_read_in_group(self, group: RemoteRoomId, message: RemoteMessageId) -> None:
        await self._bob.wait_receipt(message, user_id=self.alice)

    async def types_in_group(self, group: RemoteRoomId, active: bool) -> None:
        await self._bob.typing(group, active)

    async def sees_typing_in_group(self, group: RemoteRoomId, active: bool) -> None:
        await self._bob.wait_typing(group, self.alice, typing=active)

    async def _sees(self, key: str, wanted: Callable[[Mapping[str, Any]], bool]) -> None:
        """Wait until bob sees an event of alice with this key in it that is wanted."""
        await self._bob.wait_for(
            lambda event: (
                event.sender == self.alice and key in event.content and wanted(event.content)
            )
        )

    async def makes_own_group(self, name: str) -> RemoteRoomId:
        room = await self._phone.create_room(name=name, invite=[self.bob])
        await self._bob.wait_for(lambda event: event.section == "invite" and event.room_id == room)
        await self._bob.join(room)
        return RemoteRoomId(room)

    async def publishes_group(self, name: str, topic: str) -> RemoteRoomId:
        body = {"preset": "public_chat", "visibility": "public", "name": name, "topic": topic}
        made = await self._bob.request("POST", "createRoom", body)
        return RemoteRoomId(made["room_id"])

    async def pictures(self, group: RemoteRoomId, png: bytes) -> None:
        uri = await self._bob.upload(png, "image/png")
        await self._bob.set_avatar(uri)
        await self._bob.set_room_avatar(group, uri)

    async def sees_action(self, action: RoomAction) -> None:
        match action:
            case RemoveFromRoom():
                member = await self._state(action.room, "m.room.member", action.user)
                left = "ban" if action.is_ban else "leave"
                assert (member["membership"], member.get("reason", "")) == (left, action.reason)
            case LiftBan() | InviteToRoom():
                member = await self._state(action.room, "m.room.member", action.user)
                wanted = "invite" if isinstance(action, InviteToRoom) else "leave"
                assert member["membership"] == wanted
            case DestroyRoom():
                # Whoever was there may still look at how it was when they left.
                rules = await self._state(action.room, "m.room.join_rules")
                mine = await self._state(action.room, "m.room.member", self.alice)
                assert rules["join_rule"] == "invite"
                assert (mine["membership"], mine["reason"]) == ("leave", action.reason)
            case SetAffiliation():
                wanted_level = {Affiliation.OWNER: 100, Affiliation.ADMIN: 50}
                level = await self._level(action.room, action.user)
                assert level == wanted_level.get(action.affiliation, 0)
            case SetVoice():
                assert (await self._level(action.room, action.user) >= 0) is action.may_speak
            case DescribeRoom():
                rule = "invite" if action.is_private else "public"
                assert (await self._state(action.room, "m.room.name"))["name"] == action.name
                assert (await self._state(action.room, "m.room.topic"))["topic"] == action.topic
                assert (await self._state(action.room, "m.room.join_rules"))["join_rule"] == rule
            case SetRoomAvatar():
                given = (await self._state(action.room, "m.room.avatar")).get("url", "")
                assert given.startswith("mxc://") is bool(action.data)
            case ModerateMessage():
                path = (
                    f"rooms/{quote(action.room, safe='')}/event/{quote(action.message, safe='')}"
                )
                event = await self._phone.request("GET", path)
                assert event["content"] == {}
                assert event["unsigned"]["redacted_because"]["content"]["reason"] == action.reason
            case _:
                raise AssertionError(f"nobody looks whether {action} was done")

    async def _state(self, room: RemoteRoomId, kind: str, key: str = "") -> Mapping[str, Any]:
        path = f"rooms/{quote(room, safe='')}/state/{kind}/{quote(key, safe='')}"
        return await self._phone.request("GET", path)

    async def _level(self, room: RemoteRoomId, user: RemoteUserId) -> int:
        levels = await self._state(room, "m.room.power_levels")
        return int(levels["users"].get(user, levels["users_default"]))

    async def go_down(self) -> None:
        await self._proxy.stop()

    async def come_up(self) -> None:
        await self._proxy.start()

    async def lose_next_answer(self) -> None:
        self._proxy.swallow = lambda data: b"/send/m." in data or b"/redact/" in data

    async def revoke(self, account: Account) -> None:
        token = json.loads(account.secret)["access_token"]
        async with self.http.post(
            f"{self._url}/_matrix/client/v3/logout", headers={"Authorization": f"Bearer {token}"}
        ) as answer:
            assert answer.status == 200


@asynccontextmanager
async def matrix_peer(synapse: Synapse, http: aiohttp.ClientSession) -> AsyncIterator[MatrixPeer]:
    """People of a test's own."""
    number = next(_numbers)
    async with AsyncExitStack() as stack:
        clients = []
        for name in ("alice", "bob", "carol"):
            await synapse.add_user(f"c{number}{name}", "secret")
            client = MatrixClient(synapse.url, f"c{number}{name}", "secret")
            clients.append(await stack.enter_async_context(client))
        proxy = await stack.enter_async_context(Proxy(synapse.port))
        peer = MatrixPeer(synapse, proxy, http, *clients)
        await peer.meet()
        yield peer
        await peer.adapter.stop()


def _preview(preview: LinkPreview) -> dict[str, str]:
    return {
        "matched_url": preview.url,
        "og:title": preview.title,
        "og:description": preview.description,
        "og:site_name": preview.site,
    }


def _in_thread(
    root: RemoteMessageId, after: RemoteMessageId, *, is_falling_back: bool = True
) -> dict[str, Any]:
    return {
        "rel_type": "m.thread",
        "event_id": root,
        "is_falling_back": is_falling_back,
        "m.in_reply_to": {"event_id": after},
    }
