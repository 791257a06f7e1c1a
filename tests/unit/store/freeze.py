# SPDX-License-Identifier: Apache-2.0
"""Databases as released versions left them, with something alive in each table and state.

``python -m tests.unit.store.freeze`` writes the one of the newest schema. Done once, at the
release that first ships a migration; a dump is never written anew after that.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import structs

from gateway.events import (
    AcceptInvite,
    ChatMessage,
    DeclineInvite,
    Displayed,
    Failure,
    FailureReason,
    FileKind,
    GatewayNotice,
    MarkRead,
    MarkRoomRead,
    Moderation,
    Notice,
    OwnDisplayed,
    OwnMessage,
    ReactInRoom,
    Receipt,
    RemoteFile,
    RemoteMessage,
    RemoteReaction,
    RemoteRoomReaction,
    Reply,
    RetractInRoom,
    RoomChanged,
    RoomDisplayed,
    RoomInvitation,
    RoomJoined,
    RoomMessage,
    RoomPresence,
    RoomPresences,
    SendRoomText,
    SendText,
    SubscriptionRequest,
    Tombstone,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId, StanzaId
from gateway.store.database import _MIGRATIONS
from gateway.store.secrets import SecretBox

FROZEN = Path(__file__).parent / "frozen"
KEY = bytes(range(32))
"""Opens the secrets in the dumps."""
NOW = 1_767_225_600.0
"""2026-01-01T00:00:00Z, when the tests' clock begins."""
INSTANCE = "00112233aabbccdd"
BOB = RemoteUserId("bob")


def migrations() -> list[Path]:
    """All that there are, in order."""
    return sorted(_MIGRATIONS.glob("*.sql"))


def digest(migration: Path) -> str:
    """A migration that was released is never edited."""
    return hashlib.sha256(migration.read_bytes()).hexdigest()


def dump_of(schema: int) -> Path:
    """Where the dump of a schema is."""
    return FROZEN / f"{schema:04}.sql"


def released() -> list[int]:
    """Schemas of released versions: those that have a dump."""
    return sorted(int(path.stem) for path in FROZEN.glob("*.sql"))


def restore(schema: int, database: Path) -> None:
    """Make the database that a version of that schema left, and its key file."""
    db = sqlite3.connect(database)
    try:
        db.executescript(dump_of(schema).read_text())
    finally:
        db.close()
    key_file = database.with_name(database.name + ".key")
    key_file.write_bytes(KEY)
    key_file.chmod(0o600)


def freeze(schema: int) -> str:
    """The text of a dump."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    for number, migration in enumerate(migrations()[:schema], start=1):
        db.executescript(migration.read_text())
        if number in _FILL:
            _FILL[number](db)
    body = "\n".join(db.iterdump())
    digests = "\n".join(f"-- {path.name} {digest(path)}" for path in migrations()[:schema])
    return f"{digests}\n{body}\nPRAGMA user_version = {schema};\n"


def digests(schema: int) -> dict[str, str]:
    """What the migrations were when the dump was made, by file name."""
    found = {}
    for line in dump_of(schema).read_text().splitlines():
        if not line.startswith("-- "):
            break
        name, checksum = line.removeprefix("-- ").split()
        found[name] = checksum
    return found


def stanza(number: int) -> StanzaId:
    """The id of an inbound row's stanza."""
    return StanzaId(f"00000000-0000-5000-8000-{number:012}")


def _insert(db: sqlite3.Connection, table: str, rows: Sequence[Sequence[object]]) -> None:
    for row in rows:
        db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)


def _first(db: sqlite3.Connection) -> None:
    """Alice is linked and talks with bob; carol's login has expired; dave has logged out."""
    box = SecretBox(KEY)
    _insert(db, "meta", [("instance", INSTANCE)])
    people = [("alice", "linked", "3"), ("carol", "expired", None), ("dave", "logged-out", "7")]
    for number, (name, status, cursor) in enumerate(people, start=1):
        secret = (
            None
            if status == "logged-out"
            else box.seal(f"token-{name}".encode(), f"account {number}")
        )
        user = f"{name}@home.example"
        row = (number, "net", user, "scripted", name, secret, cursor, status, NOW, NOW + number)
        _insert(db, "account", [row])
    _insert(db, "account_state", [(1, "key", "value"), (2, "key", "other")])
    _insert(db, "address", [("net", "bob", "bob"), ("net", "Mixed Case~hash", "Mixed Case")])
    _insert(
        db,
        "contact",
        [
            (1, "bob", "Bob", 2, 2, 0),
            (1, "eve", "", 1, 1, 1),
            (1, "mallory", "Mallory", 3, 3, 0),
            (2, "bob", "Bob", 0, 0, 0),
        ],
    )
    _insert(db, "room", [(1, "net", "scripted")])
    _insert(db, "room_link", [(1, "net", "scripted", "!room", 1)])
    _insert(
        db,
        "conversation",
        [
            (1, 1, "bob", None, 2, 1),
            (2, 1, "", None, 0, 0),
            (3, None, None, 1, 0, 0),
            (4, 3, "bob", None, 0, 0),
        ],
    )
    _insert(db, "told", [(1, "name"), (1, "encrypted")])
    _insert(
        db,
        "message",
        [
            (1, 1, "in-1", "$1", 0, 0, NOW - 90, NOW - 80),
            (2, 1, "out-1", "$2", 0, 1, NOW - 70, NOW - 70),
            (3, 1, "else-1", "$3", 0, 2, NOW - 60, NOW - 50),
            (4, 1, "out-2", None, 0, 1, NOW - 40, NOW - 40),
            (5, 1, "in-2", "$4", 1, 0, NOW - 30, NOW - 20),
        ],
    )
    ids = ["in-1", "out-1", "else-1", "out-2", "in-2"]
    _insert(db, "alias", [(1, name, number) for number, name in enumerate(ids, start=1)])
    _insert(db, "alias", [(1, "origin-of-out-2", 4)])
    _insert(db, "reaction", [(1, "bob", "👍")])
    _insert(db, "held", [(1, "$secret", 0, NOW, NOW, "{}")])
    _first_inbound(db)
    _first_outbound(db)


def _first_inbound(db: sqlite3.Connection) -> None:
    """Each kind of delivery waits; and each other state has a row."""
    encode = msgspec.msgpack.Encoder().encode
    waiting = (
        ChatMessage(id=stanza(1), body="waiting", sent_at=NOW - 30, nick="Bob"),
        OwnMessage(id=stanza(2), body="from elsewhere", sent_at=NOW - 30),
        Displayed(id=stanza(3), message=StanzaId("out-1")),
        OwnDisplayed(id=stanza(4), message=StanzaId("in-1")),
        Receipt(id=stanza(5), message=StanzaId("out-1")),
        Failure(
            message=StanzaId("out-0"),
            to="alice@home.example/phone",
            reason=FailureReason.NOT_FOUND,
            text="There is nobody.",
        ),
        Notice(id=stanza(7), text="a line"),
        SubscriptionRequest(name="Bob"),
        GatewayNotice(id=stanza(9), text="a line of the gateway"),
    )
    for number, delivery in enumerate(waiting, start=1):
        conversation = 2 if isinstance(delivery, GatewayNotice) else 1
        sid = "out-0" if isinstance(delivery, Failure) else stanza(number)
        row = (number, conversation, sid, encode(delivery), 0, 0, NOW - 30, NOW - 30)
        _insert(db, "inbound", [row])
    for state, number in ((1, 10), (2, 11), (3, 12)):
        payload = encode(ChatMessage(id=stanza(number), body=f"state {state}", sent_at=NOW - 40))
        row = (number, 1, stanza(number), payload, state, state, NOW - 40, NOW - 5)
        _insert(db, "inbound", [row])


def _first_outbound(db: sqlite3.Connection) -> None:
    encode = msgspec.msgpack.Encoder().encode
    phone = "alice@home.example/phone"
    waiting = (
        SendText(contact=BOB, body="on its way"),
        MarkRead(contact=BOB, up_to=RemoteMessageId("$1")),
        AcceptInvite(contact=BOB),
        DeclineInvite(contact=BOB),
    )
    for number, command in enumerate(waiting, start=1):
        is_text = isinstance(command, SendText)
        head = (number, 1, 4 if is_text else None, "out-2" if is_text else "")
        tail = (phone if is_text else "", b"digest", 1 if is_text else 0, encode(command))
        _insert(db, "outbound", [(*head, *tail, 0, None, NOW - 40, NOW - 40)])
    for state, number in ((2, 5), (3, 6)):
        row = (number, 1, 2, "out-1", phone, b"digest", 1, None, state, NOW - 70, NOW - 70, NOW)
        _insert(db, "outbound", [row])


def _cut(db: sqlite3.Connection) -> None:
    _insert(db, "cut", [(1, 17)])


def _presence(db: sqlite3.Connection) -> None:
    _insert(db, "contact_presence", [(1, "bob", "away", "at lunch", NOW - 60)])


def _dead_events(db: sqlite3.Connection) -> None:
    content = '{"type":"RemoteMessage","contact":"bob","id":"$x","body":null,"sent_at":1.0}'
    for number, remote_id in ((1, None), (2, "$x")):
        row = (number, 1, remote_id, "RemoteMessage", content, "TypeError", number - 1, NOW)
        _insert(db, "dead_event", [row])


def _approvals(db: sqlite3.Connection) -> None:
    states = [(f"{state}@far.example", state, NOW) for state in range(3)]
    _insert(db, "approval", states)


def _registrations(db: sqlite3.Connection) -> None:
    """Erin has asked for a login that is not carried out yet."""
    user = "erin@home.example"
    typed = SecretBox(KEY).seal(b'{"username": "erin"}', f"registration net {user}")
    _insert(db, "registration", [("net", user, typed, NOW)])


def _encryption(db: sqlite3.Connection) -> None:
    """Alice's adapter keeps a key, and an event waits for one."""
    _insert(db, "account_sealed", [(1, "key", SecretBox(KEY).seal(b"k", "account 1 key"))])
    db.execute("UPDATE held SET needs = 'k1', reason = 'Why.' WHERE rowid = 1")


def _shared_rooms(db: sqlite3.Connection) -> None:
    """Alice's account was in a room that others share, and wants to hear nothing of eve."""
    _insert(
        db,
        "room",
        [(3, "net", "realm net", None, "Tea", "", None, None, 1, b"t" * 32, None, 0, 1, 0)],
    )
    _insert(db, "room_link", [(3, "net", "realm net", "!tea", 1)])
    _insert(db, "conversation", [(6, None, None, 3, 0, 0, None)])
    _insert(db, "account_room", [(3, 1, None, 0)])
    _insert(db, "stay", [(3, 1, 0, 1, NOW - 100)])
    _insert(db, "ignored", [(1, "eve")])


def _rooms(db: sqlite3.Connection) -> None:
    """Alice is in a group with bob, from one of her devices, and something was said."""
    encode = msgspec.msgpack.Encoder().encode
    realm, secret = "account 1", b"s" * 32
    room = (2, "net", realm, 1, "Club", "Tea", "bob", NOW - 90, 1, secret)
    _insert(db, "room", [room])
    _insert(db, "room_link", [(2, "net", realm, "!club", 1)])
    _insert(db, "conversation", [(5, 1, None, 2, 0, 0)])
    _insert(db, "address", [("net", "#club-0123", "!club")])
    members = [("alice", "Alice", "member"), ("bob", "Bob", "owner")]
    _insert(db, "member", [(2, id, name, name, id, kind, 1) for id, name, kind in members])
    phone = "alice@home.example/phone"
    _insert(db, "occupant", [(2, phone, "alice@home.example", NOW - 60)])
    said = RoomMessage(
        id=stanza(20),
        archive_id=stanza(21),
        nick="Bob",
        occupant="o",
        body="hello all",
        sent_at=NOW - 50,
        to=(phone,),
    )
    times = (NOW - 50, NOW - 50)
    _insert(db, "archived", [(1, 2, said.archive_id, "bob", *times, encode(said))])
    waiting = (
        said,
        structs.replace(said, id=stanza(22), archive_id=stanza(23), body="", subject="Tea"),
        RoomPresence(nick="Bob", occupant="o", member=BOB, to=(phone,)),
        RoomChanged(id=stanza(24), to=(phone,)),
        RoomInvitation(id=stanza(25), line_id=stanza(26), name="Club"),
        RoomJoined(id="j1", nick="Alice", newest=1, most=20, to=(phone,)),
        RoomDisplayed(id=stanza(27), nick="Bob", occupant="o", message=stanza(21), to=(phone,)),
    )
    for number, delivery in enumerate(waiting, start=20):
        row = (number, 5, stanza(number), encode(delivery), 0, 0, NOW - 30, NOW - 30)
        _insert(db, "inbound", [row])
    held = (5, "$secret", 0, NOW, NOW, "{}", "k1", "Why.", 0, "bob")
    _insert(db, "held", [held])
    say = encode(SendRoomText(room=RemoteRoomId("!club"), body="hello bob"))
    head = (20, 5, None, "out-20", phone, b"digest", 0, say)
    _insert(db, "outbound", [(*head, 0, None, NOW - 40, NOW - 40)])


def _references(db: sqlite3.Connection) -> None:
    """What is said about what was said."""
    encode = msgspec.msgpack.Encoder().encode
    _insert(db, "message", [(30, 5, stanza(20), "$20", 0, 0, NOW - 50, NOW - 50)])
    db.execute("UPDATE archived SET message = 30 WHERE id = 1")
    by = Moderation(nick="Bob", occupant="o", reason="Oh")
    stone = Tombstone(retraction=stanza(32), at=NOW - 20, moderation=by)

    def said_as(number: int) -> RoomMessage:
        return RoomMessage(
            id=stanza(number),
            archive_id=stanza(number + 1),
            nick="Bob",
            occupant="o",
            body="",
            sent_at=NOW - 20,
        )

    replace, reply = msgspec.structs.replace, Reply(message=stanza(21), nick="Bob")
    about = (
        replace(said_as(30), reacts_to=stanza(21), reactions=("👍",)),
        replace(said_as(32), retracts=stanza(40), moderation=by),
        replace(said_as(34), tombstone=stone),
        replace(said_as(36), body="yes", reply=reply, replaces=stanza(20)),
    )
    for number, said in enumerate(about, start=2):
        row = (number, 2, said.archive_id, "bob", NOW - 20, NOW - 20, encode(said), None)
        _insert(db, "archived", [row])
    _insert(db, "reaction", [(30, "bob", "👍", "$31")])
    room = RemoteRoomId("!club")
    commands = (
        ReactInRoom(room=room, message=RemoteMessageId(""), emoji=("👍",)),
        RetractInRoom(room=room, message=RemoteMessageId("")),
        MarkRoomRead(room=room, up_to=RemoteMessageId("$20")),
    )
    for number, command in enumerate(commands, start=30):
        waiting = (number, 5, None, "", "", b"", 0, encode(command), 0, None, NOW - 10, NOW - 10)
        _insert(db, "outbound", [(*waiting, 30, "")])


def _invitations(db: sqlite3.Connection) -> None:
    """Bob invites alice to another group, and theirs has moved."""
    waiting = (1, "!pub", "i1", "!pub", "", "The Pub", "bob", 0, NOW - 60)
    _insert(db, "invitation", [waiting])
    db.execute("UPDATE room SET moved_to = '!pub' WHERE id = 2")


def _avatars(db: sqlite3.Connection) -> None:
    """Bob has a picture; that of the group cannot be fetched now."""
    db.execute("UPDATE room SET avatar = 'p-club' WHERE id = 2")
    db.execute("UPDATE member SET avatar = 'p-bob' WHERE remote_id = 'bob'")
    known = ("net", "account 1", "p-bob", "0" * 40, 0, 0, NOW)
    later = ("net", "account 1", "p-club", None, 2, NOW + 600, NOW)
    _insert(db, "avatar", [known, later])
    _insert(db, "picture", [("0" * 40, "image/png", 1, 1, b"png")])


def _history(db: sqlite3.Connection) -> None:
    """A page was fetched, with a reaction to what is further back."""
    _insert(db, "history", [(2, "t1", 100, 0)])
    reaction = RemoteRoomReaction(
        room=RemoteRoomId("!club"),
        sender=RemoteUserId("bob"),
        id=RemoteMessageId("$41"),
        message=RemoteMessageId("$40"),
        emoji="👍",
        sent_at=NOW - 500,
    )
    encoded = msgspec.msgpack.Encoder().encode(reaction)
    _insert(db, "early", [(-1_000_000, 2, "$40", encoded)])


def _put_out(db: sqlite3.Connection) -> None:
    """Carol's session has told that alice is out of the room that they share."""
    _insert(db, "told_gone", [(3, 2, 1, 0)])


def _gaps(db: sqlite3.Connection) -> None:
    """Alice was out of the room that others share, and has read of it what was said meanwhile."""
    _insert(db, "gap", [(3, 1, 2**38 + 50, 50, "$60", None, None, 0, 0)])
    _insert(db, "due", [(1, 1)])


def _sessions(db: sqlite3.Connection) -> None:
    """Alice's phone shows something, and was not told yet that Bob has another name."""
    caps = "sha-1 http://client v="
    db.execute("UPDATE occupant SET show = 'away', status = 'tea', caps = ?", (caps,))
    _insert(db, "untold", [(1, 2, "bob", "Robert", "", "", "")])
    phone = "alice@home.example/phone"
    told = RoomPresences(
        presences=(RoomPresence(nick="Bob", occupant="o", member=BOB),), to=(phone,)
    )
    encoded = msgspec.msgpack.Encoder().encode(told)
    row = "INSERT INTO inbound (conversation, stanza_id, payload, committed_at, changed_at)"
    (club,) = db.execute("SELECT id FROM conversation WHERE room = 2").fetchone()
    db.execute(f"{row} VALUES (?, ?, ?, ?, ?)", (club, stanza(60), encoded, NOW, NOW))


def _knocks(db: sqlite3.Connection) -> None:
    """Eve asks to be let into the group, and alice into another one, from which she was banned."""
    _insert(db, "knock", [(1, 2, "eve", "k1", "Eve", NOW - 30)])
    waiting = (1, "!inn", "", "!inn", "", "The Inn", "", 0, NOW - 60, 1, "Alice")
    _insert(db, "invitation", [waiting])
    db.execute("UPDATE room SET listed = 1, takes_private = 0 WHERE id = 2")


def _chats(db: sqlite3.Connection) -> None:
    """Bob has edited a message, does so again at once, and has taken another one back."""
    edit = RemoteMessage(
        contact=BOB,
        id=RemoteMessageId("$6"),
        body="hello again",
        sent_at=NOW - 5,
        edits=RemoteMessageId("$1"),
    )
    row = (50, 1, "edit-1", "$5", 0, 0, NOW - 8, NOW - 8, 1)
    _insert(db, "message", [row])
    texts = [(1, 1, b"d" * 16, "hello", 0, NOW - 5), (5, 1, b"", "", 1, 0)]
    _insert(db, "chat_text", texts)
    encoded = msgspec.msgpack.Encoder().encode(edit)
    _insert(db, "waiting_edit", [(1, 1, NOW - 5, NOW - 2, encoded)])


def _contact_lists(db: sqlite3.Connection) -> None:
    rows = [
        (1, "bob", 2, "Bob", "Net", None, None),
        (1, "eve", 0, "", "", "Eve", None),
        (1, "carol", 1, "", "", None, NOW - 60),
    ]
    _insert(db, "roster_item", rows)


def _profiles(db: sqlite3.Connection) -> None:
    """Bob's picture is known as a contact too; mallory has none."""
    db.execute("UPDATE contact SET avatar = 'p-bob' WHERE remote_id = 'bob'")
    db.execute("UPDATE contact SET avatar = '' WHERE remote_id = 'mallory'")


def _language(db: sqlite3.Connection) -> None:
    """Alice speaks German."""
    db.execute("UPDATE account SET language = 'de' WHERE id = 1")


def _gone(db: sqlite3.Connection) -> None:
    """Nobody knows alice's address any more."""
    db.execute("UPDATE account SET gone_since = ?, suspended = 1 WHERE id = 1", (NOW,))


def _muted(db: sqlite3.Connection) -> None:
    """Bob is muted for an hour."""
    _insert(db, "muted_until", [(1, "bob", "", NOW + 3600)])


def _reactions_to_what_waits(db: sqlite3.Connection) -> None:
    """Bob has reacted to what cannot be read yet."""
    reaction = RemoteReaction(
        contact=BOB,
        id=RemoteMessageId("$x"),
        message=RemoteMessageId("$secret"),
        emoji="👍",
        sent_at=NOW,
    )
    encoded = msgspec.msgpack.encode([reaction])
    db.execute("UPDATE held SET reactions = ? WHERE conversation = 1", (encoded,))


def _own_profiles(db: sqlite3.Connection) -> None:
    """Alice's name was told to the network."""
    _insert(db, "own_profile", [(1, "Alice", "")])


def _ways(db: sqlite3.Connection) -> None:
    """Bob has said something as an occupant of a group."""
    told = (60, 1, "private-1", "$60", 0, 0, NOW - 4, NOW - 4, None, 2)
    _insert(db, "message", [told])


def _calls(db: sqlite3.Connection) -> None:
    """Bob calls, and alice has answered in another app."""
    _insert(db, "call", [(1, "c1", 1, 0, 1, stanza(70), NOW - 20)])


def _speakers(db: sqlite3.Connection) -> None:
    """Alice has written with another app: bob's puppet has told that."""
    told = (61, 1, "own-1", "$61", 0, 2, NOW - 3, NOW - 3, None, None, 1)
    _insert(db, "message", [told])


def _overtaken_edits(db: sqlite3.Connection) -> None:
    """Before the edit of bob that waits another one did."""
    edit = RemoteMessage(
        contact=BOB,
        id=RemoteMessageId("$62"),
        body="hello agian",
        sent_at=NOW - 6,
        edits=RemoteMessageId("$1"),
    )
    _insert(db, "overtaken_edit", [(1, 1, "$62", msgspec.msgpack.Encoder().encode(edit))])


def _pieces(db: sqlite3.Connection) -> None:
    """Alice has said something that is two messages on the network."""
    _insert(db, "message", [(71, 1, "long-1", "$71", 0, 1, NOW - 3, NOW - 3, None, None, None)])
    _insert(db, "message", [(72, 1, "", "$72", 0, 1, NOW - 3, NOW - 3, 71, None, None)])
    _insert(db, "piece", [(71, 0, "$71"), (71, 1, "$72")])


def _files(db: sqlite3.Connection) -> None:
    """Bob has sent two files with one message."""
    for number, kind in enumerate((FileKind.IMAGE, FileKind.FILE)):
        file = RemoteFile(reference=f"ref{number}", kind=kind, name="cat.jpg", size=7)
        facts = msgspec.msgpack.encode(file)
        _insert(db, "file", [(number + 1, 1, 1, "$files", number, facts, NOW)])


def _uploads(db: sqlite3.Connection) -> None:
    """The first of them is at the upload service."""
    db.execute(
        "UPDATE file SET url = ?, source = ?, sha256 = ?, size = 7, uploaded_at = ? WHERE id = 1",
        ("https://upload.example/1/cat.jpg", bytes(32), bytes(32), NOW),
    )


def _portals(db: sqlite3.Connection) -> None:
    """A group is linked; erin is in it without an account, and mallory may not be."""
    for number, kind, user in (
        (4, "house", "net.home.example"),
        (5, "virtual", "erin@far.example"),
    ):
        db.execute(
            "INSERT INTO account (id, network, kind, user, realm, remote_id, status, created_at,"
            " active_at) VALUES (?, 'net', ?, ?, 'scripted', ?, 'linked', ?, ?)",
            (number, kind, user, f"{kind}:{user}", NOW, NOW),
        )
    _insert(db, "portal", [("net", "!room", 0, "alice@home.example", NOW)])
    named = [("alice@home.example", "owner"), ("mallory@far.example", "outcast")]
    _insert(db, "portal_user", [("net", "!room", *each) for each in named])
    _insert(db, "link_code", [("net", "ABCD-EFGH", "alice@home.example", 0, 1, NOW + 900)])


def _uploader(db: sqlite3.Connection) -> None:
    """In its user's name."""
    db.execute("UPDATE file SET uploader = 1 WHERE id = 1")


def _chat_threads(db: sqlite3.Connection) -> None:
    """What was said last was said in a thread."""
    newest = "(SELECT max(message) FROM chat_text)"
    db.execute(f"UPDATE chat_text SET thread = '$1' WHERE message = {newest}")


def _crowd(db: sqlite3.Connection) -> None:
    """The network tells how many are in a group, and not who."""
    db.execute("UPDATE room SET people = 700 WHERE id = 2")


_FILL: dict[int, Callable[[sqlite3.Connection], None]] = {
    1: _first,
    3: _cut,
    4: _presence,
    5: _registrations,
    6: _dead_events,
    7: _approvals,
    8: _encryption,
    9: _rooms,
    10: _references,
    11: _invitations,
    15: _shared_rooms,
    16: _avatars,
    17: _history,
    18: _put_out,
    19: _gaps,
    20: _sessions,
    21: _knocks,
    23: _chats,
    24: _contact_lists,
    25: _profiles,
    26: _language,
    28: _own_profiles,
    30: _ways,
    31: _calls,
    32: _speakers,
    33: _overtaken_edits,
    34: _pieces,
    35: _files,
    36: _uploads,
    37: _chat_threads,
    38: _gone,
    39: _muted,
    40: _reactions_to_what_waits,
    42: _uploader,
    43: _portals,
    46: _crowd,
}
"""What a migration's new tables hold, by its number."""


if __name__ == "__main__":
    newest = len(migrations())
    if dump_of(newest).exists():
        sys.exit(f"{dump_of(newest)} is there, and a dump is never written anew")
    dump_of(newest).write_text(freeze(newest))
