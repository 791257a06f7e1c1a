# SPDX-License-Identifier: Apache-2.0
"""The adapter of the scripted network."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import math
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args
from urllib.parse import quote

import msgspec

from gateway.adapter import (
    AccountContext,
    Adapter,
    Capabilities,
    Contact,
    Download,
    HistoryPage,
    Linked,
    ListedContact,
    LoginField,
    LoginFlow,
    LoginOption,
    LoginStep,
    Muted,
    OwnPicture,
    Poll,
    Relogin,
    Sent,
    Session,
)
from gateway.errors import (
    AdapterError,
    AuthExpired,
    BadLogin,
    Banned,
    Forbidden,
    Knocked,
    NotFound,
    RateLimited,
    TooLarge,
    Transient,
    Uncertain,
    Unsupported,
)
from gateway.events import (
    AcceptInvite,
    Author,
    Command,
    ContactCard,
    DeclineInvite,
    Departure,
    FileFacts,
    FoundPerson,
    FoundRooms,
    LinkPreview,
    MarkRead,
    MarkRoomRead,
    Mention,
    Presence,
    React,
    ReactInRoom,
    RemoteCall,
    RemoteContactGone,
    RemoteEvent,
    RemoteFile,
    RemoteGap,
    RemoteIgnored,
    RemoteInvite,
    RemoteInviteGone,
    RemoteMember,
    RemoteMemberGone,
    RemoteMessage,
    RemoteNotice,
    RemoteProfile,
    RemoteReaction,
    RemoteRead,
    RemoteRetraction,
    RemoteRoom,
    RemoteRoomGap,
    RemoteRoomInvite,
    RemoteRoomInviteGone,
    RemoteRoomKnock,
    RemoteRoomKnockGone,
    RemoteRoomMessage,
    RemoteRoomMoved,
    RemoteRoomNotice,
    RemoteRoomReaction,
    RemoteRoomRead,
    RemoteRoomRetraction,
    RemoteRoomTopic,
    RemoteUndecryptable,
    Retract,
    RetractInRoom,
    RoomAction,
    SearchPeople,
    SearchRooms,
    SendRoomText,
    SendText,
    SentFile,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from gateway.text import Span
from gateway.text.wording import Words, tr

_ERRORS: dict[str, type[AdapterError]] = {
    "auth": AuthExpired,
    "banned": Banned,
    "forbidden": Forbidden,
    "knocked": Knocked,
    "login": BadLogin,
    "not-found": NotFound,
    "too-large": TooLarge,
    "transient": Transient,
    "unsupported": Unsupported,
}


class ScriptedSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the scripted network listens."""

    port: int
    house: str = ""
    """The account of the gateway itself; its token is called after it."""


def token_of_house(name: str) -> str:
    """By which an account of the house logs in."""
    return f"token-{name}"


class ScriptedAdapter(Adapter):
    """For tests."""

    display_name = "Scripted"
    settings_type = ScriptedSettings
    capabilities = Capabilities(
        idempotent_send=True,
        echoes_key=True,
        typing=True,
        read_marks=True,
        presence=True,
        contact_list=True,
        lists_contacts=True,
        blocking=True,
        muting=True,
        reporting=True,
        rooms=True,
        relay=True,
        room_actions=frozenset(get_args(RoomAction)),
        room_search=True,
        people_search=True,
        edits=True,
        replies=True,
        quotes=True,
        reactions=True,
        retractions=True,
        mentions=True,
        threads=True,
        calls=True,
        history=True,
        chat_history=True,
        files=True,
        cards=True,
        previews=True,
        polls=True,
        max_text_bytes=100_000,
    )

    def address_of(self, remote_id: RemoteUserId) -> str | None:
        """The id itself, when it is lower case."""
        return remote_id if remote_id == remote_id.lower() else None

    def contact_at(self, address: str) -> RemoteUserId | None:
        """Anything is an address, except what is empty or has blanks at its ends."""
        return RemoteUserId(address) if address and address == address.strip() else None

    def page_of(self, remote_id: RemoteUserId) -> str | None:
        """Everybody has one."""
        return f"https://net.example/people/{quote(remote_id)}"

    def room_at(self, address: str) -> str | None:
        """``#tea%net`` for what people call ``#tea:net``."""
        name, sign, net = address.partition("%")
        return f"{name}:{net}" if sign and net == "net" else None

    def room_address(self, called: str) -> str | None:
        """The inverse."""
        name, sign, net = called.partition(":")
        return f"{name}%{net}" if sign and net == "net" else None

    def login(self, again: Relogin | None = None) -> LoginFlow:
        """User and password."""
        return _Login(self.context.settings.port, again)

    def house(self) -> Linked | None:
        """As the settings have it."""
        name = self.context.settings.house
        if not name:
            return None
        secret = token_of_house(name).encode()
        return Linked(realm="scripted", remote_id=RemoteUserId(name), secret=secret)

    def session(self, account: AccountContext) -> Session:
        """A session."""
        return ScriptedSession(account, self.context.settings.port)


class IllustratedAdapter(ScriptedAdapter):
    """The same network with pictures of people and groups, and with nudges."""

    capabilities = replace(
        ScriptedAdapter.capabilities, avatars=True, profile=True, attention=True
    )


class BriefAdapter(ScriptedAdapter):
    """The same network with short texts only."""

    capabilities = replace(ScriptedAdapter.capabilities, max_text_bytes=500)


class TrustedAdapter(ScriptedAdapter):
    """A network whose server is trusted, so that its accounts share rooms."""

    def shares_rooms(self, realm: str) -> bool:
        """All of them are of one realm."""
        return True


class AlbumAdapter(IllustratedAdapter, TrustedAdapter):
    """Likewise with pictures."""


class FilesAdapter(AlbumAdapter):
    """The same network with files of people, which must not be large."""

    capabilities = replace(
        AlbumAdapter.capabilities,
        sends_files=True,
        max_file_bytes=1_000_000,
        voice_types=("audio/ogg",),
    )


class ForgetfulAdapter(ScriptedAdapter):
    """The same network without keys: what was sent cannot be recognised."""

    capabilities = Capabilities(
        idempotent_send=False,
        typing=True,
        read_marks=True,
        presence=True,
        max_text_bytes=500,
    )

    def session(self, account: AccountContext) -> Session:
        """A session."""
        return ForgetfulSession(account, self.context.settings.port)


class PacedAdapter(ForgetfulAdapter):
    """Likewise without keys, and whoever asks it too soon would be asked to wait."""

    def session(self, account: AccountContext) -> Session:
        """A session."""
        return PacedSession(account, self.context.settings.port)


_USER = LoginField(name="username", label=tr("User"))
_PASSWORD = LoginField(name="password", label=tr("Password"), secret=True)


class _Login(LoginFlow):
    def __init__(self, port: int, again: Relogin | None) -> None:
        self._port = port
        self._again = again

    def first(self) -> LoginStep:
        return LoginStep(
            instructions=tr("Log in to the scripted network."),
            fields=(_USER, _PASSWORD) if self._again is None else (_PASSWORD,),
        )

    async def submit(self, answers: Mapping[str, str]) -> LoginStep | Linked:
        user = answers["username"] if self._again is None else str(self._again.remote_id)
        wire = await _Wire.open(self._port)
        try:
            reply = await wire.ask({"op": "login", "user": user, "password": answers["password"]})
        finally:
            wire.close()
        return Linked(
            realm="scripted", remote_id=RemoteUserId(user), secret=reply["token"].encode()
        )


class StepwiseAdapter(ScriptedAdapter):
    """The same network with a login in steps: first who and how, then the secret."""

    def login(self, again: Relogin | None = None) -> LoginFlow:
        """User and method, then password or code."""
        return _StepwiseLogin(self.context.settings.port, again)


class _StepwiseLogin(_Login):
    def first(self) -> LoginStep:
        method = LoginField(
            name="method",
            label="How do you want to log in",
            options=(
                LoginOption(value="password", label="With a password"),
                LoginOption(value="code", label="With a code"),
            ),
            default="password",
        )
        return LoginStep(
            instructions=tr("Log in to the scripted network."),
            fields=(_USER, method) if self._again is None else (method,),
        )

    def at_once(self) -> LoginStep:
        return super().first()

    async def submit(self, answers: Mapping[str, str]) -> LoginStep | Linked:
        if "password" in answers:
            return await super().submit(answers)
        if "code" in answers:
            return await super().submit({**answers, "password": answers["code"]})
        user = answers.get("username", "")
        if user == "nobody":
            raise BadLogin("There is no such user.", field="username")
        label = "Password" if answers["method"] == "password" else "Code"
        return LoginStep(
            instructions=f"Hello {user}.",
            fields=(LoginField(name=answers["method"], label=label, secret=True),),
        )


class _HungUp(Transient):
    def __init__(self) -> None:
        super().__init__("The scripted network has hung up.")


class _Wire:
    """A connection with numbered requests."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    @classmethod
    async def open(cls, port: int) -> _Wire:
        try:
            return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 24))
        except OSError:
            raise Transient("The scripted network cannot be reached.", is_certain=True) from None

    def write(self, line: dict[str, Any]) -> None:
        if not self._writer.is_closing():
            self._writer.write(json.dumps(line).encode() + b"\n")

    async def read(self, push: Callable[[dict[str, Any] | AdapterError], None]) -> None:
        """Answers go to those who wait for them at once, since a commit may wait for one."""
        try:
            while True:
                line = await self.line()
                if "re" in line:
                    self.answered(line)
                else:
                    push(_checked(line))
        except AdapterError as error:
            push(error)

    async def line(self) -> dict[str, Any]:
        try:
            line = await self.reader.readline()
        except ConnectionError:
            line = b""
        if not line:
            raise _HungUp
        return dict(json.loads(line))

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Without a session: the next line is the answer."""
        self.write({**request, "re": 0})
        return _checked(await self.line())

    async def request(self, request: dict[str, Any]) -> dict[str, Any]:
        """Within a session, whose loop hands over the answer."""
        if self._writer.is_closing():
            raise _HungUp
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self.write({**request, "re": number})
        try:
            return _checked(await answer)
        finally:
            self._answers.pop(number, None)

    def answered(self, line: dict[str, Any]) -> None:
        answer = self._answers.get(line["re"])
        if answer is not None and not answer.done():
            answer.set_result(line)

    def close(self) -> None:
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(_HungUp())
        self._writer.close()


def _checked(line: dict[str, Any]) -> dict[str, Any]:
    kind = line.get("error")
    if kind is None:
        return line
    if kind == "rate":
        raise RateLimited(line["text"], retry_after_s=line["retry_after_s"])
    if kind == "transient":
        raise Transient(line.get("text", kind), is_certain=True)  # the network itself says so
    raise _ERRORS[kind](line.get("text", kind))


def fields_of(
    record: Command
    | RoomAction
    | SearchRooms
    | SearchPeople
    | Mention
    | Author
    | LinkPreview
    | FileFacts,
) -> dict[str, Any]:
    """What is not left at its default."""
    fields = dict(msgspec.to_builtins(record))
    fields.pop("type")
    fields.pop("through", None)  # for the core alone
    return fields


def _text(command: SendText | SendRoomText) -> dict[str, Any]:
    about: dict[str, Any] = {"reply_to": command.reply_to, "edits": command.edits}
    about |= {"thread": command.thread, "thread_after": command.thread_after}
    if isinstance(command, SendText):
        where = {"op": "send", "to": command.contact}
        about |= {"continues": command.continues, "attention": command.attention or None}
    else:
        where = {"op": "say", "to": command.room}
        about["author"] = command.author and fields_of(command.author)
    about["cites"] = command.cites or None
    about["mentions"] = list(map(fields_of, command.mentions)) or None
    about["previews"] = list(map(fields_of, command.previews)) or None
    # Only where it says how a text is meant.
    about["is_further"] = (command.is_further and command.body.startswith("/me ")) or None
    about["spans"] = msgspec.to_builtins(command.spans) or None
    said = {name: value for name, value in about.items() if value is not None}
    return {**where, "body": command.body, **said}


def _body(event: dict[str, Any]) -> str:
    """What is marked is a sentence of the adapter, in place of what has no words."""
    return Words(event["body"]) if event.get("marked") else str(event["body"])


def _files(event: dict[str, Any]) -> tuple[RemoteFile, ...]:
    return tuple(
        msgspec.convert({"type": "RemoteFile", **file}, RemoteFile)
        for file in event.get("files", ())
    )


class ScriptedSession(Session):
    """Reads events, writes commands."""

    def __init__(self, account: AccountContext, port: int) -> None:
        self._account = account
        self._port = port
        self._wire: _Wire | None = None

    async def run(self) -> None:
        self._wire = wire = await _Wire.open(self._port)
        pushes: asyncio.Queue[dict[str, Any] | AdapterError] = asyncio.Queue()
        reading = asyncio.create_task(wire.read(pushes.put_nowait))
        try:
            cursor = self._account.cursor
            wire.write(
                {
                    "op": "connect",
                    "token": self._account.secret.decode(),
                    "since": None if cursor is None else int(cursor),
                }
            )
            while True:
                await self._take(wire, await pushes.get())
        finally:
            reading.cancel()
            wire.close()

    async def _take(self, wire: _Wire, push: dict[str, Any] | AdapterError) -> None:
        if isinstance(push, AdapterError):
            raise push
        if "connected" in push:
            self._account.connected()
        elif "room-typing" in push:
            room, user = RemoteRoomId(push["room-typing"]), RemoteUserId(push["user"])
            self._account.room_typing(room, user, push["active"])
        elif "typing" in push:
            self._account.typing(RemoteUserId(push["typing"]), push["active"])
        elif "presence" in push:
            presence = msgspec.convert(push["is"], Presence)
            self._account.presence(RemoteUserId(push["presence"]), presence)
        elif push["event"] and push["event"]["type"] in ("link", "unlink", "put-out"):
            await self._links(wire, push["event"])
            await self._account.commit([], cursor=str(push["pos"]))
            wire.write({"op": "ack", "pos": push["pos"]})
        else:
            event = push["event"]
            kinds = ("room", "member", "react", "retract", "call")
            is_record = event and event["type"].startswith(kinds)
            convert = self._record if is_record else self._event
            events = [] if event is None else [convert(event)]
            await self._account.commit(events, cursor=str(push["pos"]))
            wire.write({"op": "ack", "pos": push["pos"]})

    async def _links(self, wire: _Wire, event: dict[str, Any]) -> None:
        """Somebody has sent a code in a group, or something else that the core decides."""
        room = RemoteRoomId(event["room"])
        if event["type"] == "unlink":
            answer = await self._account.unlink_room(room)
        elif event["type"] == "put-out":
            message, how = RemoteMessageId(event["message"]), Departure(event["how"])
            answer = await self._account.put_out(room, message, how)
        else:
            is_owner = event["is_owner"]
            answer = await self._account.link_room(room, event["code"], is_owner=is_owner)
        await wire.request({"op": "announce", "room": room, "text": answer})

    def _event(self, event: dict[str, Any]) -> RemoteEvent:
        contact = RemoteUserId(event["contact"])
        message = RemoteMessageId(event.get("id", ""))
        now = self._account.clock.now()
        match event["type"]:
            case "message":
                return RemoteMessage(
                    contact=contact,
                    id=message,
                    body=_body(event),
                    sent_at=event.get("sent_at", now),
                    own=event.get("own", False),
                    key=event.get("key"),
                    reply_to=event.get("reply_to"),
                    edits=event.get("edits"),
                    thread=event.get("thread"),
                    thread_after=event.get("thread_after"),
                    spans=msgspec.convert(event.get("spans", ()), tuple[Span, ...]),
                    files=_files(event),
                    cards=msgspec.convert(event.get("cards", ()), tuple[ContactCard, ...]),
                    previews=msgspec.convert(event.get("previews", ()), tuple[LinkPreview, ...]),
                    attention=event.get("attention", False),
                    mentions=msgspec.convert(event.get("mentions", ()), tuple[Mention, ...]),
                    is_ongoing=event.get("is_ongoing", False),
                )
            case "read":
                return RemoteRead(contact=contact, up_to=message, own=event.get("own", False))
            case "invite":
                return RemoteInvite(contact=contact, id=message)
            case "invite-gone":
                return RemoteInviteGone(contact=contact)
            case "contact-gone":
                return RemoteContactGone(contact=contact, id=message)
            case "profile":
                return RemoteProfile(
                    contact=contact, name=event["name"], avatar=event.get("avatar")
                )
            case "encrypted":
                return RemoteUndecryptable(
                    contact=contact,
                    id=message,
                    sent_at=now,
                    content=event["content"],
                    own=event.get("own", False),
                    needs=event.get("needs", ""),
                    reason=event.get("reason", ""),
                )
            case "notice":
                return RemoteNotice(contact=contact or None, id=message, text=event["text"])
            case "gap":
                return RemoteGap(contact=contact, id=message, about=event.get("about"))
            case kind:
                raise AssertionError(f"the test has scripted an unknown event {kind}")

    def _record(self, event: dict[str, Any]) -> RemoteEvent:
        fields = {name: value for name, value in event.items() if name != "type"}
        kinds: dict[str, type[RemoteEvent]] = {
            "reaction": RemoteReaction,
            "retraction": RemoteRetraction,
            "call": RemoteCall,
            "room": RemoteRoom,
            "member": RemoteMember,
            "member-gone": RemoteMemberGone,
            "room-message": RemoteRoomMessage,
            "room-reaction": RemoteRoomReaction,
            "room-retraction": RemoteRoomRetraction,
            "room-read": RemoteRoomRead,
            "room-invite": RemoteRoomInvite,
            "room-invite-gone": RemoteRoomInviteGone,
            "room-knock": RemoteRoomKnock,
            "room-knock-gone": RemoteRoomKnockGone,
            "room-moved": RemoteRoomMoved,
            "room-notice": RemoteRoomNotice,
            "room-topic": RemoteRoomTopic,
            "room-gap": RemoteRoomGap,
            "room-encrypted": RemoteUndecryptable,
            "room-ignored": RemoteIgnored,
        }
        kind = kinds[event["type"]]
        if "sent_at" in kind.__struct_fields__:
            fields.setdefault("sent_at", self._account.clock.now())
        is_marked = fields.pop("marked", False)
        record = msgspec.convert(fields, kind)
        if is_marked and isinstance(record, RemoteRoomMessage):
            return msgspec.structs.replace(record, body=Words(record.body))
        return record

    async def send(self, command: Command, key: str) -> Sent:
        wire = self._wire
        if wire is None:
            raise Transient("There is no connection.", is_certain=True)
        match command:
            case SendText() | SendRoomText():
                said = {**_text(command), "key": key}
                if command.file is not None:
                    said["file"] = await self._upload(wire, command.file, key)
                reply = await wire.request(said)
                return Sent(remote_id=RemoteMessageId(reply["id"]))
            case React() | ReactInRoom():
                wanted = fields_of(command)
                if isinstance(command, ReactInRoom) and command.author is not None:
                    wanted["author"] = fields_of(command.author)
                reply = await wire.request({"op": "react", "key": key, **wanted})
                return Sent(reactions=reply["reactions"])
            case Retract() | RetractInRoom():
                await wire.request({"op": "retract", "key": key, **fields_of(command)})
            case MarkRoomRead():
                await wire.request({"op": "read-room", **fields_of(command)})
            case MarkRead():
                await wire.request(
                    {"op": "read", "contact": command.contact, "up_to": command.up_to}
                )
            case AcceptInvite() | DeclineInvite():
                op = "accept" if isinstance(command, AcceptInvite) else "decline"
                await wire.request({"op": op, "contact": command.contact})
        return Sent()

    async def _upload(self, wire: _Wire, file: SentFile, key: str) -> dict[str, Any]:
        """Returns what is said of it, where it is not left at its default."""
        async with self._account.open(file) as upload:
            is_first = True
            async for chunk in upload.chunks:
                data = base64.b64encode(chunk).decode()
                piece = {"op": "upload", "key": key, "first": is_first, "data": data}
                await wire.request(piece)
                is_first = False
            if is_first:
                await wire.request({"op": "upload", "key": key, "first": True, "data": ""})
            shape = {"waveform": upload.waveform} if upload.waveform else {}
            return {**fields_of(upload.facts), **shape}

    async def manage(self, action: RoomAction) -> RemoteRoomId | None:
        if self._wire is None:
            raise Transient("There is no connection.", is_certain=True)
        request = {"op": "manage", "do": type(action).__name__, **fields_of(action)}
        room = (await self._wire.request(request))["room"]
        return RemoteRoomId(room) if room else None

    async def contacts(self) -> list[ListedContact]:
        if self._wire is None:
            raise Transient("There is no connection.", is_certain=True)
        reply = await self._wire.request({"op": "contacts"})
        return [ListedContact(**each) for each in reply["contacts"]]

    async def block(self, contact: RemoteUserId, is_blocked: bool) -> None:
        if self._wire is None:
            raise Transient("There is no connection.", is_certain=True)
        await self._wire.request({"op": "block", "contact": contact, "blocked": is_blocked})

    async def report(self, contact: RemoteUserId, reason: str) -> None:
        if self._wire is None:
            raise Transient("There is no connection.", is_certain=True)
        await self._wire.request({"op": "report", "contact": contact, "reason": reason})

    async def mute(
        self, contact: RemoteUserId | None, room: RemoteRoomId | None, is_muted: bool
    ) -> None:
        if self._wire is None:
            raise Transient("There is no connection.", is_certain=True)
        await self._wire.request({"op": "mute", "of": contact or room, "muted": is_muted})

    async def muted(self) -> Muted:
        if self._wire is None:
            raise Transient("There is no connection.", is_certain=True)
        muted = (await self._wire.request({"op": "muted"}))["muted"]
        return Muted(
            contacts=frozenset(RemoteUserId(one) for one in muted if one[0] not in "!#"),
            rooms=frozenset(RemoteRoomId(one) for one in muted if one[0] in "!#"),
        )

    async def poll(self, contact: RemoteUserId | None, room: RemoteRoomId | None) -> Poll | None:
        if self._wire is None:
            raise Transient("There is no connection.", is_certain=True)
        told = (await self._wire.request({"op": "poll", "of": contact or room}))["poll"]
        return None if told is None else msgspec.convert(told, Poll)

    async def vote(self, poll: Poll, answers: Sequence[int]) -> None:
        if self._wire is None:
            raise Transient("There is no connection.", is_certain=True)
        await self._wire.request({"op": "vote", "poll": poll.reference, "answers": [*answers]})

    async def last_said(self, contact: RemoteUserId, most: int) -> list[RemoteMessage]:
        if self._wire is None:
            raise Transient("There is no connection.", is_certain=True)
        reply = await self._wire.request({"op": "last-said", "contact": contact, "most": most})
        told = (self._event({"type": "message", **each}) for each in reply["said"])
        return [said for said in told if isinstance(said, RemoteMessage)]

    async def banned(self, room: RemoteRoomId) -> list[RemoteUserId]:
        if self._wire is None:
            raise Transient("There is no connection.", is_certain=True)
        reply = await self._wire.request({"op": "banned", "room": room})
        return list(map(RemoteUserId, reply["users"]))

    async def tell_rooms(self, rooms: Sequence[RemoteRoomId] | None) -> None:
        if self._wire is not None:
            await self._wire.request({"op": "tell-rooms", "rooms": rooms})

    async def search_rooms(self, wanted: SearchRooms) -> FoundRooms:
        if self._wire is None:
            raise Transient("There is no connection.", is_certain=True)
        reply = await self._wire.request({"op": "search", **fields_of(wanted)})
        return msgspec.convert(reply["found"], FoundRooms)

    async def search_people(self, wanted: SearchPeople) -> list[FoundPerson]:
        if self._wire is None:
            raise Transient("There is no connection.", is_certain=True)
        reply = await self._wire.request({"op": "people", **fields_of(wanted)})
        return msgspec.convert(reply["found"], list[FoundPerson])

    async def avatar(self, reference: str) -> bytes:
        if self._wire is None:
            raise Transient("There is no connection.", is_certain=True)
        reply = await self._wire.request({"op": "avatar", "avatar": reference})
        return base64.b64decode(reply["data"])

    async def download(self, reference: str, start: int = 0, *, in_part: bool = False) -> Download:
        if in_part and reference.startswith("whole:"):
            raise TooLarge("Only the whole can be given.")
        if in_part and reference.startswith("slow:"):
            raise Transient("That took too long.")
        asked = {"op": "file", "file": reference, "start": start}
        if self._wire is None:
            raise Transient("There is no connection.", is_certain=True)
        first = await self._wire.request(asked)

        async def close() -> None:
            await chunks.aclose()

        chunks = self._chunks(self._wire, asked, first)
        size = None if reference.startswith("unsized:") else first["size"]
        return Download(chunks=chunks, close=close, size=size)

    async def _chunks(
        self, wire: _Wire, asked: dict[str, Any], answer: dict[str, Any]
    ) -> AsyncGenerator[bytes, None]:
        while chunk := base64.b64decode(answer["data"]):
            yield chunk
            asked["start"] += len(chunk)
            answer = await wire.request(asked)

    async def history(
        self, room: RemoteRoomId, before: str | None, known: RemoteMessageId | None, limit: int
    ) -> HistoryPage:
        if self._wire is None:
            raise Transient("There is no connection.", is_certain=True)
        request = {"op": "history", "room": room, "before": before, "limit": limit, "known": known}
        reply = await self._wire.request(request)
        return HistoryPage(events=list(map(self._record, reply["events"])), cursor=reply["cursor"])

    async def set_room_typing(self, room: RemoteRoomId, active: bool) -> None:
        if self._wire is not None:
            await self._wire.request({"op": "room-typing", "room": room, "active": active})

    async def set_typing(self, contact: RemoteUserId, active: bool) -> None:
        if self._wire is not None:
            await self._wire.request({"op": "typing", "contact": contact, "active": active})

    async def set_presence(self, presence: Presence) -> None:
        if self._wire is not None:
            shown = {"show": presence.availability, "status": presence.status}
            await self._wire.request({"op": "presence", **shown})

    async def set_profile(
        self, *, name: str | None = None, picture: OwnPicture | None = None
    ) -> None:
        if self._wire is None:
            raise Transient("There is no connection.", is_certain=True)
        shown: dict[str, Any] = {} if name is None else {"name": name}
        if picture is not None:
            assert bool(picture.data) == bool(picture.media_type)
            shown["picture"] = picture.media_type
        await self._wire.request({"op": "profile", **shown})

    async def find(self, contact: RemoteUserId) -> Contact:
        if self._wire is None:
            raise Transient("There is no connection.", is_certain=True)
        reply = await self._wire.request({"op": "find", "contact": contact})
        return Contact(name=reply["name"], avatar=reply.get("avatar"))

    async def log_out(self) -> None:
        wire = await _Wire.open(self._port)
        try:
            await wire.ask({"op": "logout", "token": self._account.secret.decode()})
        finally:
            wire.close()


class ForgetfulSession(ScriptedSession):
    """Without keys a text that was not answered is neither sent nor unsent."""

    async def send(self, command: Command, key: str) -> Sent:
        try:
            return await super().send(command, key)
        except _HungUp as error:
            if isinstance(command, SendText | SendRoomText):
                raise Uncertain("The network hung up before it had confirmed this.") from error
            raise


class PacedSession(ForgetfulSession):
    """Whatever is to be sent waits ten seconds, or for ever if it says so."""

    async def turn(self, command: Command) -> None:
        never = isinstance(command, SendText) and command.body == "Never"
        await self._account.clock.sleep(math.inf if never else 10)
