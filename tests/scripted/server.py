# SPDX-License-Identifier: Apache-2.0
"""The scripted network: people, messages, and faults on demand. One JSON object per line."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

_CHUNK = 65_536
_QUESTIONS = frozenset(
    ("banned", "history", "people", "contacts", "block", "muted", "last-said", "poll")
)


@dataclass(slots=True)
class SentText:
    """A text that the network has accepted from an account."""

    id: str
    sender: str
    to: str
    body: str
    key: str
    about: dict[str, Any] = field(default_factory=dict)
    """The message that it answers or edits, and who is named."""
    spans: list[dict[str, Any]] = field(default_factory=list)
    """Which parts of it have which style."""
    file: dict[str, Any] | None = None
    """What it shows: what was said of that, and its size and checksum."""


@dataclass(slots=True)
class ScriptedNetwork:
    """The network. ``people`` are those who can be found; accounts are people with a password."""

    passwords: dict[str, str] = field(default_factory=lambda: {"alice": "secret"})
    people: dict[str, str] = field(default_factory=lambda: {"bob": "Bob"})
    """Id and display name."""
    idempotent: bool = True
    """A key that comes again returns the first answer."""
    sent: list[SentText] = field(default_factory=list)
    commands: list[dict[str, Any]] = field(default_factory=list)
    """Everything else that accounts did: read marks, typing, answers to invitations, log-outs."""
    faults: list[dict[str, Any]] = field(default_factory=list)
    """Answers for the next sends, instead of success; ``{}`` lets one through."""
    aliases: dict[str, str] = field(default_factory=dict)
    """Rooms by what people call them."""
    banned: list[str] = field(default_factory=list)
    contacts: list[dict[str, Any]] = field(default_factory=list)
    """What each account is told of its people."""
    blocked: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By account."""
    directory: list[dict[str, Any]] = field(default_factory=list)
    """Rooms that anybody may find."""
    """Of all rooms."""
    avatars: dict[str, bytes] = field(default_factory=dict)
    """Pictures, by what they are called."""
    faces: dict[str, str] = field(default_factory=dict)
    """What the pictures of people are called who are looked up."""
    files: dict[str, bytes] = field(default_factory=dict)
    """By what they are called."""
    fetched: list[str] = field(default_factory=list)
    """Those that were asked for."""
    late: list[Callable[[], None]] | None = None
    """Answers with pictures, which are kept back if there is a place for them."""
    past: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    """What was said in a room before all events, the oldest first."""
    hidden: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Accounts that may not see some of it, by its id."""
    seen_by: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """What an account gets in place of some of it."""
    page: int = 100
    """How much of it comes at once, at the most."""
    pages: int = 0
    """How many pages of it were asked for."""
    muted: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Whom and what an account has muted."""
    polls: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The one that goes on with somebody or in a room."""
    mute: bool = False
    """Nothing is answered."""
    answer_s: float = 0.0
    """How long an answer takes."""
    tokens: dict[str, str] = field(default_factory=dict)
    acknowledged: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    port: int = 0
    _events: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    _writers: dict[str, asyncio.StreamWriter] = field(default_factory=dict)
    _all_writers: set[asyncio.StreamWriter] = field(default_factory=set)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    """Files of which some was sent, by the key of the command that shows them,"""
    got: dict[str, bytes] = field(default_factory=dict)
    """and those that were shown, by their checksum."""
    _done: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Answers to commands that have a key, by that."""
    reactions: dict[tuple[str, str, str], dict[str, str]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """Of an account in a room to a message: emoji and id."""
    _server: asyncio.Server | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _count: int = 0
    _logins: int = 0

    # --- life ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen on a free loopback port, or again on the port of before."""
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, limit=1 << 24
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut all connections and stop listening. What happened is kept."""
        if self._server is not None:
            self._server.close()
            self.cut()
            await self._server.wait_closed()
            self._server = None

    async def __aenter__(self) -> ScriptedNetwork:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def cut(self) -> None:
        """Drop every connection."""
        for writer in list(self._all_writers):
            writer.transport.abort()

    # --- what people on the network do ----------------------------------------------------------

    def event(self, account: str, kind: str, **fields: Any) -> dict[str, Any]:
        """Something happened that concerns an account. Kept until acknowledged."""
        log = self._events[account]
        event = {"type": kind, **fields}
        log.append(event)
        self._push(account, len(log), event)
        return event

    def says(self, account: str, contact: str, body: str, **fields: Any) -> str:
        """A person writes to an account."""
        self._count += 1
        message = f"m{self._count}"
        self.event(account, "message", contact=contact, id=message, body=body, **fields)
        return message

    def types(self, account: str, contact: str, active: bool) -> None:
        """A person begins or stops typing; nothing is kept of that."""
        self._line(account, {"typing": contact, "active": active})

    def types_in_room(self, account: str, room: str, user: str, active: bool) -> None:
        """The same in a room."""
        self._line(account, {"room-typing": room, "user": user, "active": active})

    def shows(self, account: str, contact: str, **presence: Any) -> None:
        """A person comes, leaves or says how they are; nothing is kept of that."""
        self._line(account, {"presence": contact, "is": presence})

    def revoke(self, account: str) -> None:
        """The account's tokens are no longer valid."""
        self.tokens = {t: user for t, user in self.tokens.items() if user != account}
        self._line(account, {"error": "auth", "text": "The token was revoked."})

    def told(self, account: str) -> list[dict[str, Any]]:
        """All that the account has, in order."""
        return list(self._events[account])

    def last_position(self, account: str) -> int:
        """How many events the account has."""
        return len(self._events[account])

    async def until(self, condition: Callable[[], bool], limit_s: float = 10.0) -> None:
        """Wait for something to become true here. Raises TimeoutError."""
        async with asyncio.timeout(limit_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    # --- the wire -------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._all_writers.add(writer)
        account = ""
        try:
            while line := await reader.readline():
                request = json.loads(line)
                if self.mute:
                    continue
                if request["op"] == "connect":
                    account = self._connect(request, writer)
                else:
                    reply = self._reply(request, account)
                    if reply is not None:
                        self._answer(writer, {"re": request.get("re"), **reply})
                self._changed.set()
        except ConnectionError:
            pass
        finally:
            self._all_writers.discard(writer)
            if self._writers.get(account) is writer:
                del self._writers[account]
            writer.close()

    def _answer(self, writer: asyncio.StreamWriter, reply: dict[str, Any]) -> None:
        if self.late is not None and "data" in reply:
            self.late.append(partial(_write, writer, reply))
        elif self.answer_s:
            asyncio.get_running_loop().call_later(self.answer_s, _write, writer, reply)
        else:
            _write(writer, reply)

    def _connect(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> str:
        account = self.tokens.get(request["token"], "")
        if not account:
            _write(writer, {"error": "auth", "text": "The token was revoked."})
            return ""
        self._writers[account] = writer
        _write(writer, {"connected": True, "end": len(self._events[account])})
        since = request["since"]
        start = len(self._events[account]) if since is None else since
        if since is None:
            _write(writer, {"pos": start, "event": None})
        for position, event in enumerate(self._events[account][start:], start + 1):
            _write(writer, {"pos": position, "event": event})
        return account

    def _push(self, account: str, position: int, event: dict[str, Any]) -> None:
        self._line(account, {"pos": position, "event": event})

    def _line(self, account: str, line: dict[str, Any]) -> None:
        writer = self._writers.get(account)
        if writer is not None:
            _write(writer, line)

    def _reply(self, request: dict[str, Any], account: str) -> dict[str, Any] | None:
        op = request["op"]
        if op == "login":
            if self.passwords.get(request["user"]) != request["password"]:
                return {"error": "login", "text": "The password is wrong."}
            self._logins += 1  # no token comes twice, also when the first was revoked
            token = f"token-{request['user']}-{self._logins}"
            self.tokens[token] = request["user"]
            return {"token": token}
        if op == "find":
            name = self.people.get(request["contact"])
            return (
                {"error": "not-found", "text": "Nobody of that name."}
                if name is None
                else {"name": name, "avatar": self.faces.get(request["contact"])}
            )
        if op == "ack":
            self.acknowledged[account] = max(self.acknowledged[account], request["pos"])
            return None
        if op in ("avatar", "file"):
            return self._avatar(request["avatar"]) if op == "avatar" else self._file(request)
        if op in ("send", "say", "upload"):
            send = self._upload if op == "upload" else self._send
            return send(request, account)
        if op in _QUESTIONS:
            return self._told(request, account)
        if op in ("react", "retract", "manage", "search", "profile", "mute", "report", "vote"):
            return self._act(request, account)
        if op == "logout":
            self.tokens.pop(request["token"], None)
        self.commands.append({k: v for k, v in request.items() if k not in ("re", "token")})
        return {}

    def _file(self, request: dict[str, Any]) -> dict[str, Any]:
        """A part of a file."""
        data = self.files.get(request["file"])
        if data is None:
            return {"error": "not-found", "text": "There is no such file any more."}
        part = data[request["start"] :][:_CHUNK]
        return {"data": base64.b64encode(part).decode(), "size": len(data)}

    def _found(self, request: dict[str, Any]) -> dict[str, Any]:
        """A page of the directory."""
        words, start, most = (
            request.get("words", ""),
            int(request.get("page") or 0),
            request.get("most", 50),
        )
        found = [room for room in self.directory if words in room.get("name", "")]
        after = str(start + most) if len(found) > start + most else ""
        rooms = [{"type": "FoundRoom", **room} for room in found[start : start + most]]
        return {"type": "FoundRooms", "rooms": rooms, "next": after}

    def _people(self, words: str) -> list[dict[str, str]]:
        named = sorted(self.people.items())
        found = [one for one in named if words.lower() in f"{one[0]} {one[1]}".lower()]
        return [{"type": "FoundPerson", "user": user, "name": name} for user, name in found]

    def _block(self, request: dict[str, Any], account: str) -> dict[str, Any]:
        blocked = self.blocked[account]
        (blocked.add if request["blocked"] else blocked.discard)(request["contact"])
        self.event(account, "room-ignored", users=sorted(blocked))
        return {}

    def _avatar(self, reference: str) -> dict[str, Any]:
        self.fetched.append(reference)
        if self.faults:
            return self.faults.pop(0)
        data = self.avatars.get(reference)
        if data is None:
            return {"error": "not-found", "text": "There is no such picture."}
        return {"data": base64.b64encode(data).decode()}

    def _told(self, request: dict[str, Any], account: str) -> dict[str, Any]:
        if self.faults:
            return self.faults.pop(0)
        if request["op"] == "banned":
            return {"users": self.banned}
        if request["op"] == "people":
            return {"found": self._people(request["words"])}
        if request["op"] == "contacts":
            return {"contacts": self.contacts}
        if request["op"] == "block":
            return self._block(request, account)
        if request["op"] == "muted":
            return {"muted": sorted(self.muted[account])}
        if request["op"] == "poll":
            return {"poll": self.polls.get(request["of"])}
        if request["op"] == "last-said":
            return {"said": self._last_said(request, account)}
        return self._history(request, account)

    def _last_said(self, request: dict[str, Any], account: str) -> list[dict[str, Any]]:
        """The messages of a chat as they are now."""
        found: dict[str, dict[str, Any]] = {}
        for event in self._events[account]:
            if event.get("contact") != request["contact"]:
                continue
            if event["type"] == "retraction":
                found.pop(event["message"], None)
            elif event["type"] == "message" and event.get("edits") in found:
                found[event["edits"]] |= {"body": event["body"]}
            elif event["type"] == "message":
                found[event["id"]] = {k: v for k, v in event.items() if k != "type"}
        return list(found.values())[-request["most"] :]

    def _history(self, request: dict[str, Any], account: str) -> dict[str, Any]:
        self.pages += 1
        past = [
            self.seen_by.get((event["id"], account), event)
            for event in self.past[request["room"]]
            if account not in self.hidden.get(event["id"], ())
        ]
        ids = [event["id"] for event in past]
        before, known = request["before"], request["known"]
        if before is not None:
            end = ids.index(before)
        else:
            end = ids.index(known) + 1 if known in ids else len(past)
        start = max(0, end - min(self.page, request["limit"]))
        return {"events": past[start:end], "cursor": ids[start] if start else None}

    def _upload(self, request: dict[str, Any], account: str) -> dict[str, Any]:
        """A piece of a file. With the first one it begins anew."""
        upload = self.uploads.setdefault(request["key"], bytearray())
        if request["first"]:
            upload.clear()
        upload += base64.b64decode(request["data"])
        return {}

    def _send(self, request: dict[str, Any], account: str) -> dict[str, Any] | None:
        if self.idempotent:
            for before in self.sent:
                if before.key == request["key"]:
                    return {"id": before.id}
        fault = self.faults.pop(0) if self.faults else {}
        if fault.get("silent") == "before":
            return None
        if "error" in fault:
            return fault
        if request["op"] != "say" and request["to"] not in self.people:
            return {"error": "not-found", "text": "Nobody of that name."}
        self._count += 1
        about: dict[str, Any] = {
            name: request[name]
            for name in (
                "reply_to",
                "cites",
                "edits",
                "continues",
                "mentions",
                "previews",
                "thread",
                "thread_after",
                "attention",
                "is_further",
                "author",
            )
            if name in request
        }
        text = SentText(
            f"m{self._count}", account, request["to"], request["body"], request["key"], about
        )
        text.spans = request.get("spans", [])
        if "file" in request:
            data = bytes(self.uploads.pop(request["key"]))
            checksum = hashlib.sha256(data).hexdigest()
            self.got[checksum] = data
            text.file = {**request["file"], "size": len(data), "sha256": checksum}
        self.sent.append(text)
        said = {"id": text.id, "body": text.body, **({"key": text.key} if self.idempotent else {})}
        about = {name: value for name, value in about.items() if name != "author"}
        if request["op"] == "say":
            self.event(account, "room-message", room=text.to, sender=account, **said, **about)
        else:
            self.event(account, "message", contact=text.to, own=True, **said, **about)
        if fault.get("cut"):
            self.cut()
        return None if fault.get("silent") == "after" else {"id": text.id}

    def _act(self, request: dict[str, Any], account: str) -> dict[str, Any] | None:
        """Reactions, retractions, and what a user waits for: noted, unless it is to fail."""
        if self.idempotent and request.get("key") in self._done:
            return self._done[request["key"]]
        fault = self.faults.pop(0) if self.faults else {}
        if fault.get("silent") == "before":
            return None
        if "error" in fault:
            return fault
        self.commands.append({k: v for k, v in request.items() if k not in ("re", "key")})
        if request["op"] == "mute":
            muted = self.muted[account]
            (muted.add if request["muted"] else muted.discard)(request["of"])
        if request["op"] in ("profile", "mute", "report", "vote"):
            return {}
        if request["op"] == "search":
            return {"found": self._found(request)}
        if request["op"] == "manage":
            self._ban(request)
            return {"room": self.aliases.get(request.get("address", ""), request.get("address"))}
        if request["op"] == "retract":
            self._count += 1
            self._take_back(request, account, request["message"])
            reply: dict[str, Any] = {}
        else:
            reply = {"reactions": self._react(request, account)}
        self._done[request["key"]] = reply
        if fault.get("cut"):
            self.cut()
        return None if fault.get("silent") == "after" else reply

    def _ban(self, request: dict[str, Any]) -> None:
        if request["do"] == "RemoveFromRoom" and request.get("is_ban"):
            self.banned.append(request["user"])
        elif request["do"] == "LiftBan" and request["user"] in self.banned:
            self.banned.remove(request["user"])

    def _take_back(self, request: dict[str, Any], account: str, message: str) -> None:
        self._count += 1
        taken = {"id": f"m{self._count}", "message": message}
        if "room" in request:
            self.event(account, "room-retraction", room=request["room"], by=account, **taken)
        else:
            self.event(account, "retraction", contact=request["contact"], own=True, **taken)

    def _react(self, request: dict[str, Any], account: str) -> dict[str, str]:
        """All reactions of an account to a message are others now, or those of somebody for whom
        it speaks; of the latter nothing is told."""
        own: dict[str, Any]
        if "author" in request:
            account = request["author"]["user"]
        if "room" in request:
            kind, place, own = "room-reaction", "room", {"sender": account}
        else:
            kind, place, own = "reaction", "contact", {"own": True}
        where = request[place]
        have = self.reactions[account, where, request["message"]]
        wanted = request.get("emoji", ())
        for emoji in [emoji for emoji in have if emoji not in wanted]:
            self._take_back(request, account, have.pop(emoji))
        for emoji in [emoji for emoji in wanted if emoji not in have]:
            self._count += 1
            have[emoji] = made = f"m{self._count}"
            key = {"key": request["key"]} if self.idempotent else {}
            about = {place: where, "message": request["message"], **own}
            self.event(account, kind, id=made, emoji=emoji, **about, **key)
        return dict(have)


def _write(writer: asyncio.StreamWriter, line: dict[str, Any]) -> None:
    if not writer.is_closing():
        writer.write(json.dumps(line).encode() + b"\n")
