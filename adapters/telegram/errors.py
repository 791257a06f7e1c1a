# SPDX-License-Identifier: Apache-2.0
"""What Telegram refuses, in words for users.

Bot API, "Making requests": an error has a code and a description for developers, which is matched
here as far as it tells what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    InvalidToken,
    NetworkError,
    TelegramError,
)
from telegram.error import Forbidden as Refused

from adapters.telegram.request import NotSent, TooMany, Unanswered
from gateway.errors import (
    AdapterError,
    AuthExpired,
    Forbidden,
    NotFound,
    RateLimited,
    TooLarge,
    Transient,
    Uncertain,
    Unsupported,
)
from gateway.text import clean
from gateway.text.wording import Words, tr, trn

_LONGEST = 200
_MESSAGE_GONE = tr("Telegram does not have the message any more.")
_NOT_DELETED = tr("Telegram does not let the bot delete this message any more.")
OUTSIDE = tr(
    "You have not let your bot into a chat with this person, or nothing was said there since. In "
    "Telegram you choose the chats in the settings of your account (chat automation)."
)
_TOO_LARGE = 413
STRANGER = tr(
    "Nobody with this number has written to your bot, and Telegram lets bots write only to people "
    "who have written to them first."
)
_SENTENCES: Final[tuple[tuple[str, Callable[[], AdapterError]], ...]] = (
    ("chat not found", lambda: NotFound(STRANGER)),
    ("user not found", lambda: NotFound(STRANGER)),
    ("peer_id_invalid", lambda: NotFound(STRANGER)),
    ("initiate conversation", lambda: Forbidden(STRANGER)),
    (
        "blocked by the user",
        lambda: Forbidden(tr("They have stopped your bot, so it cannot write to them.")),
    ),
    ("user is deactivated", lambda: Forbidden(tr("This Telegram account was deleted."))),
    (
        "send messages to bots",
        lambda: Forbidden(tr("Telegram does not let bots write to other bots.")),
    ),
    (
        "text must be non-empty",
        lambda: Unsupported(tr("Telegram does not carry a message without words.")),
    ),
    (
        "message text is empty",
        lambda: Unsupported(tr("Telegram does not carry a message without words.")),
    ),
    ("entity too large", lambda: TooLarge(tr("The file is too large for Telegram."))),
    (
        "must be non-empty",
        lambda: Unsupported(tr("Telegram takes no file with nothing in it.")),
    ),
    ("too long", lambda: TooLarge(tr("The message is too long for Telegram."))),
    (
        "message thread not found",
        lambda: NotFound(tr("This topic is not there any more: it was deleted.")),
    ),
    ("file is too big", lambda: TooLarge(tr("Bots cannot fetch files of more than 20 MB."))),
    (
        "temporarily unavailable",  # which is said of files that are gone for good, too
        lambda: Transient(tr("Telegram does not give this file at the moment.")),
    ),
    (
        "not found",
        lambda: NotFound(_MESSAGE_GONE),
    ),
    (
        "message can't be edited",
        lambda: Forbidden(tr("Telegram does not let the bot change this message.")),
    ),
    (
        "message can't be deleted",
        lambda: Forbidden(_NOT_DELETED),
    ),
    (
        "reaction",
        lambda: Unsupported(tr("Telegram does not let bots react with this.")),
    ),
)
OUT = tr("The bot is not in this group any more.")
_MAY_NOT_SPEAK = tr("The bot may not say this in this group.")
_IN_GROUPS: Final[tuple[tuple[str, Callable[[], AdapterError]], ...]] = (
    ("bot was kicked", lambda: Forbidden(OUT)),
    ("not a member", lambda: Forbidden(OUT)),
    ("chat not found", lambda: NotFound(OUT)),
    ("group chat was d", lambda: NotFound(tr("This group was deleted."))),
    ("topic_closed", lambda: Forbidden(tr("This topic of the group is closed."))),
    ("rights to send", lambda: Forbidden(_MAY_NOT_SPEAK)),
    ("write_forbidden", lambda: Forbidden(_MAY_NOT_SPEAK)),
)
"""Before the others."""
DISCONNECTED = tr(
    "Your bot is not connected to your Telegram account. In Telegram you can connect it in the "
    "settings of your account (chat automation)."
)
MAY_NOT = tr(
    "You have not allowed your bot to do this in your chats. In Telegram you can allow it in the "
    "settings of your account (chat automation)."
)
_IN_OWN_CHATS: Final[tuple[tuple[str, Callable[[], AdapterError]], ...]] = (
    (
        "peer_usage_missing",
        lambda: Forbidden(
            tr(
                "Telegram lets bots write in this chat only within 24 hours after the other side "
                "has said something there. Please write in the Telegram app; when they have "
                "answered you can go on here."
            )
        ),
    ),
    ("connection_invalid", lambda: Forbidden(DISCONNECTED)),
    ("connection not found", lambda: Forbidden(DISCONNECTED)),
    ("access_forbidden", lambda: Forbidden(MAY_NOT)),
    ("connection_not_allowed", lambda: Forbidden(MAY_NOT)),
    ("business_peer_invalid", lambda: NotFound(OUTSIDE)),
    ("peer_id_invalid", lambda: NotFound(OUTSIDE)),
    ("chat not found", lambda: NotFound(OUTSIDE)),
    ("message_id_invalid", lambda: NotFound(_MESSAGE_GONE)),
    ("delete_forbidden", lambda: Forbidden(_NOT_DELETED)),
    ("blocked by the user", lambda: Forbidden(tr("They have blocked you in Telegram."))),
)
"""Before the others, in chats of the user's own Telegram account."""
_CONFLICT = tr(
    "Another program fetches the messages of your bot, and Telegram gives each to one of you "
    "only. Stop it, or give this gateway a bot of its own."
)

_WEBHOOK = tr(
    "Another program has Telegram deliver the messages of your bot to an address of its own (a "
    "webhook). Remove that there, or give this gateway a bot of its own."
)


def error_of(
    error: TelegramError,
    *,
    is_repeatable: bool = True,
    is_group: bool = False,
    is_own_chat: bool = False,
) -> AdapterError:
    """What it is for the gateway. ``is_repeatable``: to do the same twice is no more than once;
    otherwise what was not answered is `Uncertain`. ``is_group``: it is about a group;
    ``is_own_chat``: about a chat of the user's own Telegram account."""
    match error:
        case TooMany():
            return rate_limited(error.seconds)
        case NotSent():
            return Transient(tr("Telegram cannot be reached."), is_certain=True)
        case Unanswered():
            return _unanswered(error, is_repeatable)
        case InvalidToken() if "unauthorized" in error.message.lower():
            return AuthExpired(
                tr("Telegram no longer accepts the token of your bot: it was revoked.")
            )
        case Conflict() if "webhook" in error.message.lower():
            return Transient(_WEBHOOK, is_certain=True)
        case Conflict():
            return Transient(_CONFLICT, is_certain=True)
        case InvalidToken():  # 404: an address that is none, or a server that is too old
            return Unsupported(tr("The Bot API server does not know how to do this."))
        case Refused() | NetworkError() | ChatMigrated():
            first = _IN_GROUPS if is_group else ()
            return _refused(error, (_IN_OWN_CHATS if is_own_chat else first) + _SENTENCES)
    return _unanswered(Unanswered(""), is_repeatable)


def _unanswered(error: Unanswered, is_repeatable: bool) -> AdapterError:
    if error.status == _TOO_LARGE:
        return TooLarge(tr("The file is too large for Telegram."))
    what = tr("Telegram did not answer.")
    if error.status is not None:
        what = tr("Telegram has a problem at the moment (HTTP {status}).", status=error.status)
    if is_repeatable:
        return Transient(what)
    return Uncertain(
        tr(
            "{what} The message may or may not have arrived; please check before you send it "
            "again.",
            what=what,
        )
    )


def _refused(
    error: TelegramError, sentences: Iterable[tuple[str, Callable[[], AdapterError]]]
) -> AdapterError:
    said = clean(error.message)[:_LONGEST]
    for part, made in sentences:
        if part in said.lower():
            return made()
    kind = Forbidden if isinstance(error, Refused) else Unsupported
    return kind(tr("Telegram refused this. It says: {said}", said=said))


def rate_limited(seconds: float) -> RateLimited:
    """Telegram wants so much time to pass first."""
    text = tr("Telegram asks to wait for {time} before the next message.", time=spoken(seconds))
    return RateLimited(text, retry_after_s=seconds)


def spoken(seconds: float) -> Words:
    """A time as people say it."""
    if seconds < 90:
        return trn("{count} second", "{count} seconds", max(round(seconds), 1))
    if seconds < 90 * 60:
        return trn("{count} minute", "{count} minutes", round(seconds / 60))
    if seconds < 48 * 3600:
        return trn("{count} hour", "{count} hours", round(seconds / 3600))
    return trn("{count} day", "{count} days", round(seconds / 86_400))


def is_unchanged(error: TelegramError) -> bool:
    """An edit would change nothing, since it was made already."""
    return isinstance(error, BadRequest) and "not modified" in error.message.lower()


def is_caption(error: TelegramError) -> bool:
    """What is to be edited is what was said about a file."""
    return isinstance(error, BadRequest) and "no text in the message" in error.message.lower()


def is_no_reaction(error: TelegramError) -> bool:
    """The group does not have this reaction, or has none."""
    return isinstance(error, BadRequest) and "reaction" in error.message.lower()


def is_gone(error: TelegramError) -> bool:
    """What is to be deleted is not there any more."""
    is_known = isinstance(error, BadRequest) and "chat not found" not in error.message.lower()
    return is_known and "not found" in error.message.lower()
