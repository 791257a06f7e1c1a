# SPDX-License-Identifier: Apache-2.0
"""Updates of bots as events."""

from collections.abc import Mapping
from typing import Any

import pytest
from telegram import Bot

from adapters.telegram.connected import Connected
from adapters.telegram.connected_events import ConnectedEvents
from adapters.telegram.groups import Groups
from adapters.telegram.inbound import Inbound
from adapters.telegram.known import Known
from adapters.telegram.pictures import Faces
from adapters.telegram.polls import Polls
from adapters.telegram.reactions import Reactions
from adapters.telegram.request import SharedRequest
from adapters.telegram.topics import Topics
from gateway.events import (
    Affiliation,
    ContactCard,
    RemoteEvent,
    RemoteMember,
    RemoteMessage,
    RemoteNotice,
    RemoteProfile,
    RemoteReaction,
    RemoteRetraction,
    RemoteRoom,
    RemoteRoomMessage,
    RemoteUnreadable,
)
from gateway.ids import RemoteMessageId, RemoteUserId
from gateway.tasks import SystemClock
from gateway.text import Style

ANNA = {"id": 7_000_000_001, "is_bot": False, "first_name": "Anna", "last_name": "Bauer"}
CHAT = {"id": ANNA["id"], "type": "private", "first_name": "Anna"}
GROUP = {"id": -100_200, "type": "supergroup", "title": "Tea"}
CHANNEL = {"id": -100_300, "type": "channel", "title": "News"}
_TOO_LARGE = "Bots cannot fetch files of more than 20 MB; it is in Telegram."
FILE = {"file_id": "f", "file_unique_id": "u"}


def _bot() -> Bot:
    http: Any = None  # nothing is asked
    request = SharedRequest(http)
    return Bot("123:abc", request=request, get_updates_request=request)


def _update(kind: str = "message", number: int = 1, **content: Any) -> dict[str, Any]:
    message = {"message_id": 5, "date": 1_700_000_000, "chat": CHAT, "from": ANNA, **content}
    return {"update_id": number, kind: message}


def _reactions(state: Mapping[str, str], **committed: RemoteMessageId) -> Reactions:
    return Reactions(state, lambda _contact, _message: committed)


def _events(raw: dict[str, Any], reactions: Reactions | None = None) -> list[RemoteEvent]:
    return _inbound(reactions).events(raw)


def _inbound(reactions: Reactions | None = None) -> Inbound:
    own, bot, clock, made = RemoteUserId("123"), _bot(), SystemClock(), reactions or _reactions({})
    connected, faces = Connected({}, clock), Faces({})
    known = Known(own, faces, Groups(own, {}, faces), Topics({}), Polls({}), connected, made)
    return Inbound(bot, known, ConnectedEvents(bot, own, connected, known.usernames, clock))


def _message(**content: Any) -> RemoteMessage:
    (message,) = (e for e in _events(_update(**content)) if isinstance(e, RemoteMessage))
    return message


def test_a_text_and_who_says_it() -> None:
    profile, message = _events(_update(text="hello"))
    contact = RemoteUserId("7000000001")
    assert profile == RemoteProfile(contact=contact, name="Anna Bauer")
    assert message == RemoteMessage(
        contact=contact,
        id=RemoteMessageId("7000000001:5"),
        body="hello",
        sent_at=1_700_000_000.0,
    )


def test_an_answer_with_the_words_that_it_is_about() -> None:
    answered = {"message_id": 3, "date": 1, "chat": CHAT, "from": ANNA, "text": "tea or milk?"}
    quote = {"text": "or milk", "position": 4, "is_manual": True}
    message = _message(text="both", reply_to_message=answered, quote=quote)
    assert (message.reply_to, message.body) == ("7000000001:3", "or milk\nboth")
    assert [(s.style, s.begin, s.end) for s in message.spans] == [(Style.QUOTE, 0, 7)]
    styled = {
        **quote,
        "text": "\nor milk",
        "entities": [{"type": "bold", "offset": 4, "length": 4}],
    }
    bold = _message(text="both", reply_to_message=answered, quote=styled)
    assert [bold.body[s.begin : s.end] for s in bold.spans if s.style is Style.BOLD] == ["milk"]
    unsaid = _message(text="both", reply_to_message=answered, quote={**quote, "is_manual": False})
    assert unsaid.body == "both"


def test_each_edit_has_an_id_of_its_own() -> None:
    """Two within a second, and one after the numbers of updates began anew."""
    edits = []
    for number, at in ((8, 1_700_000_009), (9, 1_700_000_009), (8, 1_700_000_999)):
        raw = _update("edited_message", number, text="x", edit_date=at)
        (edit,) = (e for e in _events(raw) if isinstance(e, RemoteMessage))
        assert (edit.edits, edit.sent_at) == ("7000000001:5", at)
        edits.append(edit.id)
    assert len(set(edits)) == 3
    assert (
        _events(_update("edited_message", 8, text="x", edit_date=1_700_000_009))[1]
        == (_events(_update("edited_message", 8, text="x", edit_date=1_700_000_009))[1])
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            {"document": {**FILE, "file_name": "a b.iso", "file_size": 30_000_000},
             "caption": "look"},
            f"look\n[file] a b.iso — {_TOO_LARGE}",
        ),
        ({"location": {"latitude": 52.5, "longitude": 13.25}}, "geo:52.500000,13.250000"),
        (
            {"location": {"latitude": 1, "longitude": 2},
             "venue": {"location": {"latitude": 1, "longitude": 2}, "title": "Bar",
                       "address": "Street 1"}},
            "Bar, Street 1\ngeo:1.000000,2.000000",
        ),
        ({"dice": {"emoji": "🎲", "value": 4}}, "🎲 4"),
        ({"novelty": {"of": "next year"}}, "[a kind of message that is not bridged yet]"),
        (
            {"text": "psst", "forward_origin": {"type": "hidden_user", "date": 1,
                                                "sender_user_name": "Carl"}},
            "psst\n(Passed on from Carl.)",
        ),
    ],
)  # fmt: skip
def test_what_is_no_text_is_told_in_words(content: dict[str, Any], said: str) -> None:
    assert _message(**content).body == said


def test_somebody_who_moves_is_told_of_now_and_then() -> None:
    place = {"latitude": 52.5, "longitude": 13.25, "live_period": 900}
    raw = _update("edited_message", location=place, edit_date=1_700_000_009)
    (edit,) = (e for e in _events(raw) if isinstance(e, RemoteMessage))
    assert (edit.body, edit.is_ongoing) == ("geo:52.500000,13.250000", True)
    assert not _message(location=place).is_ongoing


def test_somebody_whom_they_tell_of() -> None:
    contact = {"phone_number": "+49 30 1", "first_name": "Carol", "user_id": 9}
    message = _message(contact=contact)
    card = ContactCard(name="Carol", phones=("+49 30 1",), user=RemoteUserId("9"))
    assert (message.body, message.cards) == ("", (card,))


def _reacted(number: int, old: list[str], new: list[str], **more: Any) -> dict[str, Any]:
    def typed(emoji: list[str]) -> list[dict[str, str]]:
        return [{"type": "emoji", "emoji": each} for each in emoji]

    about = {"chat": CHAT, "message_id": 5, "user": ANNA, "date": 1_700_000_000}
    sets = {"old_reaction": typed(old), "new_reaction": typed(new)}
    return {"update_id": number, "message_reaction": {**about, **sets, **more}}


def test_reactions_are_known_again_when_they_are_taken_back() -> None:
    """By the next session too: what they are called is in the state."""
    reactions = _reactions({})
    (made,) = _events(_reacted(1, [], ["👍"]), reactions)
    assert isinstance(made, RemoteReaction)
    assert (made.message, made.emoji) == ("7000000001:5", "👍")
    stored = {key: value for key, value in reactions.changes().items() if value is not None}
    later = _reactions(stored)
    gone, other = _events(_reacted(2, ["👍"], ["🔥"]), later)
    assert isinstance(gone, RemoteRetraction)
    assert isinstance(other, RemoteReaction)
    assert (gone.message, other.emoji) == (made.id, "🔥")
    assert _events(_reacted(2, ["👍"], ["🔥"]), later) == []  # told once more
    (last,) = _events(_reacted(3, ["🔥"], []), later)
    assert isinstance(last, RemoteRetraction)
    assert last.message == other.id
    assert list(later.changes().values()) == [None]


def test_what_a_batch_takes_back_is_not_there_any_more() -> None:
    """Although the gateway has it until the batch is stored."""
    reactions = _reactions({}, **{"👍": RemoteMessageId("made")})
    (gone,) = _events(_reacted(2, ["👍"], []), reactions)
    assert isinstance(gone, RemoteRetraction)
    assert gone.message == "made"
    (again,) = _events(_reacted(3, [], ["👍"]), reactions)
    assert isinstance(again, RemoteReaction)
    assert again.id != "made"


def test_pictures_as_reactions_are_shown_as_an_emoji() -> None:
    own = [{"type": "custom_emoji", "custom_emoji_id": str(number)} for number in (1, 2)]
    reactions = _reactions({})
    (made,) = _events(_reacted(1, [], [], new_reaction=own), reactions)
    assert isinstance(made, RemoteReaction)
    assert made.emoji == "\U0001f5bc\ufe0f"
    (gone,) = _events(_reacted(2, [], [], new_reaction=[]), reactions)
    assert isinstance(gone, RemoteRetraction)
    assert gone.message == made.id


def test_the_oldest_reactions_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those of the smallest numbers: each group has its own."""
    monkeypatch.setattr("adapters.telegram.reactions._MOST", 2)
    stored: dict[str, str] = {}
    for number, message in enumerate((9, 8, 3)):
        reactions = _reactions(dict(sorted(stored.items())))
        about = {"message_id": message, "date": 1_700_000_000 + number, "chat": GROUP}
        _events(_reacted(number, [], ["👍"], **about), reactions)
        for key, value in reactions.changes().items():
            stored.pop(key, None) if value is None else stored.update({key: value})
    assert sorted(stored) == [f"reactions -100200:{each} {ANNA['id']}" for each in (3, 8)]


def _member(status: str) -> dict[str, Any]:
    until = {"until_date": 0} if status == "kicked" else {}
    return {"status": status, "user": {"id": 123, "is_bot": True, "first_name": "B"}, **until}


def test_who_stops_the_bot_is_told_of() -> None:
    about = {"chat": CHAT, "from": ANNA, "date": 1_700_000_000}
    stopped = {"old_chat_member": _member("member"), "new_chat_member": _member("kicked")}
    (notice,) = _events({"update_id": 4, "my_chat_member": {**about, **stopped}})
    assert isinstance(notice, RemoteNotice)
    assert (notice.contact, "stopped your bot" in notice.text) == ("7000000001", True)


def test_an_older_server_says_less_of_what_an_administrator_may() -> None:
    """Than the library wants to hear."""
    about = {"chat": GROUP, "from": ANNA, "date": 1_700_000_000}
    rights = {"can_restrict_members": True, "can_delete_messages": True}
    now = {**_member("administrator"), **rights}
    come = {"old_chat_member": _member("left"), "new_chat_member": now}
    first, room, own = _events({"update_id": 4, "my_chat_member": {**about, **come}})
    assert isinstance(first, RemoteRoom)
    assert isinstance(room, RemoteRoom)
    assert isinstance(own, RemoteMember)
    assert (room.name, own.member.affiliation) == ("Tea", Affiliation.ADMIN)


def test_a_group_in_which_the_first_message_cannot_be_read_is_told_all_the_same() -> None:
    entity = {"type": "bold", "offset": "nowhere", "length": 1}
    said = {"message_id": 8, "date": 1_700_000_000, "chat": GROUP, "from": ANNA, "text": "tea"}
    events = _events({"update_id": 3, "message": {**said, "entities": [entity]}})
    rooms = [event.room for event in events if isinstance(event, RemoteRoom)]
    (unreadable,) = (event for event in events if isinstance(event, RemoteUnreadable))
    assert rooms == [unreadable.room] == [str(GROUP["id"])]


def test_what_is_answered_may_be_of_a_kind_that_nobody_can_read() -> None:
    said = {"message_id": 8, "date": 1_700_000_000, "chat": CHAT, "from": ANNA, "text": "tea"}
    answered = {"message_id": 7, "date": 1_700_000_000, "chat": CHAT, "from": ANNA}
    novel = {"poll": {"novelty": 1}}
    message = {**said, "reply_to_message": {**answered, **novel}, "external_reply": novel}
    (text,) = (
        event
        for event in _events({"update_id": 3, "message": message})
        if isinstance(event, RemoteMessage)
    )
    assert (text.body, text.reply_to) == ("tea", "7000000001:7")


def test_what_comes_from_the_channel_of_a_group_is_said_by_the_channel() -> None:
    telegram = {"id": 777000, "is_bot": False, "first_name": "Telegram"}
    origin = {"type": "channel", "date": 1_700_000_000, "chat": CHANNEL, "message_id": 3}
    post = {"message_id": 8, "date": 1_700_000_000, "chat": GROUP, "from": telegram}
    post |= {"sender_chat": CHANNEL, "forward_origin": origin, "text": "news"}
    said = [
        event
        for automatic in ({"is_automatic_forward": True}, {})
        for event in _events({"update_id": 3, "message": {**post, **automatic}})
        if isinstance(event, RemoteRoomMessage)
    ]
    assert [(event.sender, event.body) for event in said] == [
        ("-100300", "news"),
        ("-100300", "news\n(Passed on from News.)"),
    ]


def test_a_channel_with_the_bot_is_no_room() -> None:
    """That is said when it comes, and nothing comes from there."""
    about = {"chat": CHANNEL, "from": ANNA, "date": 1_700_000_000}
    come = {"old_chat_member": _member("left"), "new_chat_member": _member("member")}
    (notice,) = _events({"update_id": 4, "my_chat_member": {**about, **come}})
    assert isinstance(notice, RemoteNotice)
    assert (notice.contact, "the channel “News”" in notice.text) == (None, True)
    gone = {"old_chat_member": _member("member"), "new_chat_member": _member("left")}
    assert _events({"update_id": 5, "my_chat_member": {**about, **gone}}) == []
    still = {"old_chat_member": _member("left"), "new_chat_member": _member("kicked")}
    assert _events({"update_id": 7, "my_chat_member": {**about, **still}}) == []
    post = {"message_id": 1, "chat": CHANNEL, "date": 1_700_000_000, "text": "news"}
    assert _events({"update_id": 6, "channel_post": post}) == []


def test_what_cannot_be_read_is_one_events_trouble() -> None:
    (event,) = _events({"update_id": 3, "message": {"message_id": "x", "chat": CHAT}})
    assert isinstance(event, RemoteUnreadable)
    assert (event.contact, event.id) == ("7000000001", "7000000001/update 3")
    assert _events({"update_id": 5, "novelty": {}}) == []


def test_what_cannot_be_read_of_a_group_is_told_there() -> None:
    inbound = _inbound()
    inbound.events(_update(text="hello", chat=GROUP))
    (event,) = inbound.events({"update_id": 3, "message": {"message_id": "x", "chat": GROUP}})
    assert isinstance(event, RemoteUnreadable)
    assert (event.room, event.contact, event.id) == ("-100200", None, "-100200/update 3")


@pytest.mark.parametrize("chat", ["nobody", GROUP, {}, None])
def test_what_cannot_even_be_told_in_a_chat_is_kept(chat: object) -> None:
    (event,) = _events({"update_id": 4, "message": {"message_id": "x", "chat": chat}})
    assert isinstance(event, RemoteUnreadable)
    assert (event.contact, event.id) == (None, "/update 4")
    assert '"x"' in event.content
