# SPDX-License-Identifier: Apache-2.0
"""What a message is that is neither text nor a file, in words. No I/O.

Bot API, "Message". A place is told as a ``geo:`` URI alone (RFC 5870): clients draw a map where
the whole text is that (REQ-453).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from telegram import (
    Message,
    MessageOriginChannel,
    MessageOriginChat,
    MessageOriginHiddenUser,
    MessageOriginUser,
)

from adapters.telegram import polls
from gateway.events import ContactCard
from gateway.ids import RemoteUserId
from gateway.text import clean
from gateway.text.wording import Words, joined, tr, trn

_FILES: Final = (
    ("animation", tr("animation")),  # before the document, which it is as well
    ("photo", tr("image")),
    ("sticker", tr("sticker")),
    ("voice", tr("voice message")),
    ("audio", tr("audio")),
    ("video_note", tr("video")),
    ("video", tr("video")),
    ("document", tr("file")),
)
_MOST_NAME = 200
_MOST_WINNERS = 20
_BOXES: Final = {False: "\N{BALLOT BOX}", True: "\N{BALLOT BOX WITH CHECK}"}


def described(message: Message, *, has_file: bool) -> str:
    """What is shown in place of the words, or below them; empty if they are all of it."""
    if message.text is not None or message.contact is not None or has_file:
        return ""
    for name, what in _FILES:
        if found := getattr(message, name):
            large = tr("Bots cannot fetch files of more than 20 MB; it is in Telegram.")
            return joined((_in_app(what, _about(found)), large), " — ")
    if message.venue is not None or message.location is not None:
        return _place(message)
    for kind, words in _OTHERS.items():
        if (said := getattr(message, kind)) is not None:
            return words(said)
    return _in_app(tr("a kind of message that is not bridged yet"), "")


def _in_app(what: str, about: str) -> str:
    if about:
        return Words("[{what}] {about}", {"what": what, "about": about})
    return Words("[{what}]", {"what": what})


def _about(file: object) -> str:
    return _one_line(str(getattr(file, "file_name", None) or ""))


def _one_line(said: str) -> str:
    return " ".join(clean(said)[:_MOST_NAME].split())


def _titled(found: Any) -> str:
    return ": ".join(filter(None, map(_one_line, (found.title, found.description))))


def _paid(found: Any) -> str:
    stars = found.star_count
    return trn(
        "[something that costs {count} star]", "[something that costs {count} stars]", stars
    )


def _listed(found: Any) -> str:
    tasks = (
        f"{_BOXES[task.completion_date is not None]} {clean(task.text)}" for task in found.tasks
    )
    return "\n".join((clean(found.title), *tasks))


def _won(found: Any) -> str:
    names = ", ".join(_one_line(user.full_name) for user in found.winners[:_MOST_WINNERS])
    return _in_app(tr("winners of a prize draw"), names)


_OTHERS: Final[dict[str, Callable[[Any], str]]] = {
    "poll": polls.words,
    "dice": lambda found: f"{found.emoji} {found.value}",
    "checklist": _listed,
    "game": lambda found: _in_app(tr("game"), _titled(found)),
    "gift": lambda found: _in_app(tr("gift"), clean(found.text or "")),
    "unique_gift": lambda found: _in_app(tr("gift"), _one_line(found.gift.base_name)),
    "giveaway": lambda found: _in_app(tr("prize draw"), _one_line(found.prize_description or "")),
    "giveaway_winners": _won,
    "invoice": lambda found: _in_app(tr("bill"), _titled(found)),
    "story": lambda found: _in_app(tr("story"), ""),
    "paid_media": _paid,
}


def _place(message: Message) -> str:
    venue = message.venue
    place = message.location if venue is None else venue.location
    if place is None:
        return _in_app(tr("location"), "")
    uri = f"geo:{place.latitude:.6f},{place.longitude:.6f}"
    return uri if venue is None else clean(f"{venue.title}, {venue.address}\n{uri}")


def is_moving(message: Message) -> bool:
    """Whether it says where somebody is who may move on."""
    return message.location is not None and message.location.live_period is not None


def cards(message: Message) -> tuple[ContactCard, ...]:
    """The person whom it tells of."""
    found = message.contact
    if found is None:
        return ()
    name = " ".join(filter(None, (found.first_name, found.last_name)))
    user = None if found.user_id is None else RemoteUserId(str(found.user_id))
    return (ContactCard(name=clean(name), phones=(clean(found.phone_number),), user=user),)


def forwarded(message: Message) -> str:
    """From whom somebody has passed it on, as a line; empty if they have not. What comes by itself
    from the channel of a group is said by that channel (Bot API, ``is_automatic_forward``)."""
    if message.is_automatic_forward:
        return ""
    match message.forward_origin:
        case MessageOriginUser(sender_user=user):
            name = user.full_name
        case MessageOriginHiddenUser(sender_user_name=hidden):
            name = hidden
        case MessageOriginChat(sender_chat=chat) | MessageOriginChannel(chat=chat):
            name = chat.effective_name or ""
        case _:
            return ""
    return tr("(Passed on from {name}.)", name=clean(name)[:_MOST_NAME])
