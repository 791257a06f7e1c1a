# SPDX-License-Identifier: Apache-2.0
"""Telegram as a peer: alice is a bot, and people write to her."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from adapters.telegram import TelegramAdapter, TelegramSettings
from adapters.telegram.settings import ServerUrl
from gateway.adapter import Secret
from gateway.events import (
    Affiliation,
    Author,
    ContactCard,
    DescribeRoom,
    LiftBan,
    ModerateMessage,
    RemoveFromRoom,
    RoomAction,
    SetAffiliation,
    SetRoomAvatar,
    SetVoice,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from tests.contract.account import Account, Context, Running
from tests.contract.peer import Peer, Place
from tests.crash.victim import FastClock
from tests.peers.bot_api import BotApi, Chat, Group, Message

_FILES = {"document", "voice"}
_RIGHTS = (
    "can_restrict_members",
    "can_delete_messages",
    "can_promote_members",
    "can_change_info",
)


class _Clock(FastClock):
    """Goes faster, but for leaps."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class TelegramPeer(Peer):
    """Bob and carol have written to the bot, which is told of that no more."""

    tells_own = False
    tells_retractions = False
    has_invitations = False
    has_secrets = False
    ends_logins = False
    takes_empty_files = False
    tells_reasons = False
    opens_groups = False
    plain_texts = ("<b>&amp;</b>", "two\nlines", "é e\u0301 漢 🙂 👩\u200d👧", "/hm", "*a*")

    def __init__(self, telegram: BotApi, http: aiohttp.ClientSession) -> None:
        self._relay = telegram.bot("Relay", "relay_bot")
        settings = TelegramSettings(
            api_url=ServerUrl(telegram.url),
            poll_timeout=1,
            relay_token=Secret(self._relay.token),
        )
        context: Any = Context(http, settings)
        self.adapter = TelegramAdapter(context)
        self.http = http
        self._telegram = telegram
        self._clock = _Clock()
        self._bot = telegram.bot("Alice", "alice_bot", has_topics=True)
        self._bob, self._carol = telegram.person("Bob"), telegram.person("Carol")
        for person in (self._bob, self._carol):
            person.start(self._bot)
        self._bot.updates.expire()
        self._chat = telegram.world.private(self._bot, self._bob)
        self._groups: dict[Place, Chat] = {None: self._chat}
        self._reactions: dict[RemoteMessageId, Message] = {}
        self.alice = RemoteUserId(str(self._bot.id))
        self.bob, self.carol = (RemoteUserId(str(one.id)) for one in (self._bob, self._carol))
        self.nobody = RemoteUserId("4711")

    def running(self, account: Account) -> Running:
        """Messages are sent one a second, which is no time for tests."""
        account.clock = self._clock
        return super().running(account)

    def answers(self) -> Mapping[str, str]:
        return {"password": self._bot.token}

    def wrong_answers(self) -> Mapping[str, str]:
        return {"password": f"{self._bot.id}:{'x' * 35}"}

    async def says(self, body: str) -> RemoteMessageId:
        return _named(self._bob.say(self._bot, body))

    async def heard(self, body: str) -> list[RemoteMessageId]:
        return await _heard(self._chat, body)

    async def makes_group(self, name: str) -> RemoteRoomId:
        """Only bots who are administrators are told reactions by Telegram."""
        group = self._telegram.groups.create(name, self._bob, self._bot, is_forum=True)
        self._telegram.groups.promote(group, self._bot)
        room = RemoteRoomId(str(group.id))
        self._groups[room] = group
        return room

    async def makes_own_group(self, name: str) -> RemoteRoomId:
        """Bots cannot make groups, but rule those of others."""
        people = self._telegram.person("Dora"), self._bot, self._bob
        group = self._telegram.groups.create(name, *people, is_super=True)
        self._telegram.groups.promote(group, self._bot, *_RIGHTS)
        room = RemoteRoomId(str(group.id))
        self._groups[room] = group
        return room

    async def sees_action(self, action: RoomAction) -> None:
        group = self._groups[RemoteRoomId(getattr(action, "room", ""))]
        assert isinstance(group, Group)
        match action:
            case ModerateMessage(message=message):
                assert _number(message) not in group.messages
            case SetAffiliation(affiliation=affiliation):
                is_admin = group.member(self._bob).is_admin
                assert is_admin is (affiliation is Affiliation.ADMIN)
            case SetVoice(may_speak=may_speak):
                assert (group.member(self._bob).status == "member") is may_speak
            case DescribeRoom(name=name, topic=topic):
                assert (group.title, group.description) == (name, topic)
            case SetRoomAvatar(data=data):
                assert bool(group.photo) is bool(data)
            case RemoveFromRoom(user=user, is_ban=is_ban):
                member = group.members[int(user)]
                assert member.status == ("kicked" if is_ban else "left")
            case LiftBan(user=user):
                assert group.members[int(user)].status == "left"
            case _:
                raise AssertionError(f"nobody can do this here: {action}")

    async def links_group(self, name: str, code: str) -> RemoteRoomId:
        group = self._telegram.groups.create(name, self._bob, self._relay)
        room = RemoteRoomId(str(group.id))
        self._groups[room] = group
        self._bob.say(group, f"/link {code}")
        return room

    async def unlinks_group(self, group: RemoteRoomId) -> None:
        self._bob.say(self._groups[group], "/unlink")

    async def sees_said_for(self, group: RemoteRoomId, author: Author, body: str) -> None:
        (said,) = await _heard(self._groups[group], f"{author.name}: {body}")
        message = self._message(said)
        name = {"type": "bold", "offset": 0, "length": len(author.name)}
        assert (message.sender, message.entities) == (self._relay, [name])

    async def pictures(self, group: RemoteRoomId, png: bytes) -> None:
        """Of people's nothing tells, so it is seen when they say something a day later."""
        found = self._groups[group]
        assert isinstance(found, Group)
        self._telegram.groups.picture(found, png)
        self._bob.show(png)
        self._clock.ahead += 2 * 86_400
        for where in (self._bot, found):
            self._bob.say(where, "look at me")

    async def says_in_group(self, group: RemoteRoomId, body: str) -> RemoteMessageId:
        return _named(self._bob.say(self._groups[group], body))

    async def heard_in_group(self, group: RemoteRoomId, body: str) -> list[RemoteMessageId]:
        return await _heard(self._groups[group], body)

    async def removes_from_group(self, group: RemoteRoomId, reason: str) -> None:
        found = self._groups[group]
        assert isinstance(found, Group)
        self._telegram.groups.remove(found, self._bot, by=self._bob)

    async def edits(
        self, group: Place, message: RemoteMessageId, body: str, *, elsewhere: bool = False
    ) -> RemoteMessageId:
        edited = self._message(message)
        self._bob.edit(edited, body)
        return RemoteMessageId(f"{message}/{edited.edited}.{self._last_update()}")

    async def sees_edit(self, group: Place, message: RemoteMessageId, body: str) -> None:
        assert self._message(message).text == body

    async def replies(self, group: Place, message: RemoteMessageId, body: str) -> RemoteMessageId:
        return _named(self._bob.say(self._groups[group], body, reply_to=self._message(message)))

    async def sees_quote(
        self, group: Place, message: RemoteMessageId, part: str, body: str
    ) -> None:
        await self.sees_reply(group, message, body)
        (answer,) = (each for each in self._groups[group].seen.items if each.text == body)
        is_in_it = part in self._message(message).text
        assert ("" if answer.quote is None else answer.quote["text"]) == (part if is_in_it else "")

    async def sees_reply(self, group: Place, message: RemoteMessageId, body: str) -> None:
        (answer,) = (each for each in self._groups[group].seen.items if each.text == body)
        assert answer.reply_to is self._message(message)

    async def begins_thread(self, group: Place) -> RemoteMessageId:
        chat = self._groups[group]
        if isinstance(chat, Group):
            return _of(chat, self._telegram.groups.open_topic(chat, "Tea"))
        return _of(chat, self._bob.open_topic(self._bot, "Tea"))

    async def says_in_thread(
        self, group: Place, root: RemoteMessageId, after: RemoteMessageId, body: str
    ) -> RemoteMessageId:
        return _named(self._bob.say(self._groups[group], body, topic=_number(root)))

    async def sees_in_thread(
        self,
        group: Place,
        root: RemoteMessageId,
        after: RemoteMessageId,
        body: str,
        *,
        is_answer: bool,
    ) -> None:
        (said,) = (each for each in self._groups[group].seen.items if each.text == body)
        assert said.thread_id == _number(root)
        assert (said.reply_to is self._message(after)) is is_answer

    async def mentions(self, group: Place, before: str, after: str) -> None:
        entity = {"type": "text_mention", "offset": len(before), "length": len("Alice")}
        entity |= {"user": self._bot.json()}
        self._bob.say(self._groups[group], f"{before}Alice{after}", [entity])

    async def sees_mention(self, group: Place, body: str) -> None:
        (said,) = (each for each in self._groups[group].seen.items if each.text == body)
        (entity,) = said.entities
        assert (entity["type"], entity["user"]) == ("text_mention", self._bob.json())
        assert (entity["offset"], entity["length"]) == (body.index("bob"), len("bob"))

    async def reacts(
        self, group: Place, message: RemoteMessageId, emoji: str, *, elsewhere: bool = False
    ) -> RemoteMessageId:
        target = self._message(message)
        self._bob.react(target, emoji)
        at = self._bot.updates.waiting[-1]["message_reaction"]["date"]
        made = RemoteMessageId(f"{message}/{at}.{self._last_update()} {emoji}")
        self._reactions[made] = target
        return made

    async def sees_reactions(
        self, group: Place, message: RemoteMessageId, emoji: set[str]
    ) -> None:
        made = self._message(message).reactions.get(self._bot.id, [])
        assert {each["emoji"] for each in made} == {each.replace("\ufe0f", "") for each in emoji}

    async def takes_back(
        self, group: Place, message: RemoteMessageId, *, elsewhere: bool = False
    ) -> None:
        self._bob.react(self._reactions[message])

    async def sees_taken_back(self, group: Place, message: RemoteMessageId) -> None:
        assert _number(message) not in self._groups[group].messages

    async def shares(
        self, group: Place, data: bytes, name: str, body: str = ""
    ) -> RemoteMessageId:
        chat = self._groups[group]
        return _named(self._bob.send_file(chat, "document", data, name=name, caption=body))

    async def sees_file(
        self, group: Place, name: str
    ) -> tuple[RemoteMessageId | None, bytes, str]:
        seen = self._groups[group].seen
        await seen.wait_for(lambda message: bool(message.content.keys() & _FILES))
        message = seen.items[-1]
        (kind,) = message.content.keys() & _FILES
        found = message.content[kind]
        assert found.get("file_name", name) == name
        data = self._telegram.world.files.find(found["file_id"]).data
        return _named(message), data, message.text

    async def tells_of(self, group: Place, card: ContactCard) -> RemoteMessageId:
        contact: dict[str, Any] = {"phone_number": card.phones[0], "first_name": card.name}
        contact |= {} if card.user is None else {"user_id": int(card.user)}
        return _named(self._bob.send(self._groups[group], {"contact": contact}))

    async def go_down(self) -> None:
        await self._telegram.stop()

    async def come_up(self) -> None:
        await self._telegram.start()

    async def lose_next_answer(self) -> None:
        self._telegram.faults.cut(carried_out=True, method="sendMessage")

    async def revoke(self, account: Account) -> None:
        self._bot.revoke()

    def _message(self, message: RemoteMessageId) -> Message:
        chat = message.partition(":")[0]
        found = self._groups.get(RemoteRoomId(chat), self._chat)
        return found.messages[_number(message)]

    def _last_update(self) -> int:
        number: int = self._bot.updates.waiting[-1]["update_id"]
        return number


def _named(message: Message) -> RemoteMessageId:
    return _of(message.chat, message.id)


def _of(chat: Chat, message: int) -> RemoteMessageId:
    return RemoteMessageId(f"{chat.id}:{message}")


async def _heard(chat: Chat, body: str) -> list[RemoteMessageId]:
    def is_said(message: Message) -> bool:
        return message.text == body

    await chat.seen.wait_for(is_said)
    return [_named(each) for each in chat.seen.items if is_said(each)]


def _number(message: RemoteMessageId) -> int:
    return int(message.rpartition(":")[2])


@asynccontextmanager
async def telegram_peer(http: aiohttp.ClientSession) -> AsyncIterator[TelegramPeer]:
    """With a server of its own."""
    async with BotApi() as telegram:
        yield TelegramPeer(telegram, http)
