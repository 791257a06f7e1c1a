"""Short ways to write events and answers of a homeserver."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from adapters.matrix.filters import Mode
from adapters.matrix.gaps import Fill
from adapters.matrix.group_sync import Lists
from adapters.matrix.opened import Opened
from adapters.matrix.parts import Outcome
from adapters.matrix.rooms import Book, Group, Room, RoomId
from adapters.matrix.sync import NOTHING, translate
from gateway.ids import RemoteUserId

ALICE = RemoteUserId("@alice:example.org")
"""The account."""
BOB = RemoteUserId("@bob:example.org")
CAROL = RemoteUserId("@carol:example.org")
ROOM = RoomId("!room:example.org")
NOW = 2_000_000.0


def text(body: object, event_id: str = "$1", sender: object = BOB, **content: Any) -> Any:
    """A text message."""
    return message({"msgtype": "m.text", "body": body, **content}, event_id, sender)


def message(
    content: Any, event_id: object = "$1", sender: object = BOB, kind: str = "m.room.message"
) -> dict[str, Any]:
    """Any event of a timeline."""
    return {
        "type": kind,
        "event_id": event_id,
        "sender": sender,
        "origin_server_ts": 1_000_000,
        "content": content,
    }


def state(kind: str, key: str, content: Any, event_id: str = "$s", sender: str = BOB) -> Any:
    """A state event."""
    return {**message(content, event_id, sender, kind), "state_key": key}


def member(user: str, membership: str, name: str = "", **more: Any) -> Any:
    """A member event."""
    content = {"membership": membership, **({"displayname": name} if name else {}), **more}
    return state("m.room.member", user, content, f"$member-{user}-{membership}")


def joined(*timeline: Any, room: str = ROOM, **more: Any) -> dict[str, Any]:
    """An answer with one joined room."""
    parts = {key: {"events": value} for key, value in more.items() if key != "timeline"}
    return {
        "next_batch": "s1",
        "rooms": {"join": {room: {"timeline": {"events": list(timeline)}, **parts}}},
    }


def invited(*events: Any, room: str = ROOM) -> dict[str, Any]:
    """An answer with one invitation."""
    return {"rooms": {"invite": {room: {"invite_state": {"events": list(events)}}}}}


def invitation(sender: str = BOB, *, direct: Any = True) -> Any:
    """The stripped event by which the account is invited."""
    content = {"membership": "invite", "is_direct": direct}
    return {"type": "m.room.member", "state_key": ALICE, "sender": sender, "content": content}


def book(**fields: Any) -> Book:
    """A book with one room of Bob, and his name."""
    made = Book({})
    draft = made.draft()
    room = Room(contact=BOB, mine="join", theirs="join", last="$0")
    room = replace(room, **fields)
    draft.put(ROOM, room)
    draft.put_name(BOB, "Bob", is_contact=True)
    made.apply(draft)
    return made


def outcome(
    answer: Any,
    known: Book | None = None,
    mode: Mode = Mode.NEXT,
    *,
    fills: Mapping[RoomId, Fill] | None = None,
    lists: Lists | None = None,
    opened: Opened = NOTHING,
) -> Outcome:
    """The translation of a small answer."""
    [only] = translate(
        answer,
        book() if known is None else known,
        mode=mode,
        account=ALICE,
        instance="here",
        fills=fills or {},
        now=NOW,
        opened=opened,
        lists=lists,
    )
    assert only.is_last
    return only


def created(sender: str = BOB, version: str = "11", **content: Any) -> Any:
    """The event by which a room was made."""
    return state("m.room.create", "", {"room_version": version, **content}, "$create", sender)


def group_book(**fields: Any) -> Book:
    """A book with one group, of which all was told up to $0."""
    made = Book({})
    draft = made.draft()
    fields = {"name": "Tea", "encrypted": False, "founder": BOB, "last": "$0", **fields}
    draft.put_group(ROOM, Group(**{"shows_past": True, **fields}))
    draft.put_groups_known()
    made.apply(draft)
    return made
