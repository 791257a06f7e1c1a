# SPDX-License-Identifier: Apache-2.0
"""Messages of what has happened, which nobody has said, in words. No I/O.

Bot API, "Message": the fields that are called "Service message" there. Those of topics are in
`adapters.telegram.topics`, and who comes and goes is told by `adapters.telegram.group_events`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from telegram import Message, User

from adapters.telegram.errors import spoken
from gateway.text import clean
from gateway.text.wording import tr, trn

_MOST_NAME = 200
_MOST_NAMES = 20


class Happening(NamedTuple):
    """Something that has happened in a chat or a group."""

    text: str
    """Empty if there is nothing to tell."""
    is_important: bool = True
    """As in `gateway.events.RemoteRoomNotice`."""


def happening(message: Message, by: str) -> Happening | None:
    """What has happened; None if a message is something that somebody says. ``by``: whose doing
    that is."""
    for kind, told in _TOLD.items():
        found = getattr(message, kind)
        if found is not None:
            return Happening(told(found, by), kind not in _MINOR)
    is_silent = any(getattr(message, kind) for kind in _SILENT)
    return Happening("") if is_silent else None


_SILENT: Final = (
    "new_chat_title",  # the name that comes with each message is the new one
    "new_chat_photo",
    "delete_chat_photo",
    "group_chat_created",
    "supergroup_chat_created",
    "channel_chat_created",
    "chat_background_set",
    "connected_website",
    "write_access_allowed",
    "forum_topic_created",
    "forum_topic_edited",
    "forum_topic_closed",
    "forum_topic_reopened",
    "general_forum_topic_hidden",
    "general_forum_topic_unhidden",
)
"""Of these there is nothing to tell, or it is told elsewhere."""
_MINOR: Final = frozenset(
    {
        "boost_added",
        "checklist_tasks_added",
        "checklist_tasks_done",
        "giveaway_completed",
        "giveaway_created",
        "poll_option_added",
        "poll_option_deleted",
        "proximity_alert_triggered",
    }
)


def _timer(found: Any, by: str) -> str:
    seconds = found.message_auto_delete_time.total_seconds()
    if not seconds:
        return tr("{name} has set that messages stay.", name=by)
    after = spoken(seconds)
    return tr("{name} has set that messages are deleted after {time}.", name=by, time=after)


def _proximity(found: Any, by: str) -> str:
    return tr(
        "{name} is less than {distance} m away from {other}.",
        name=_names([found.traveler]),
        distance=found.distance,
        other=_names([found.watcher]),
    )


def _owner_left(found: Any, by: str) -> str:
    if found.new_owner is None:
        return tr("{name}, who owned this group, has left it.", name=by)
    return tr(
        "{name}, who owned this group, has left it; {other} is to own it.",
        name=by,
        other=_names([found.new_owner]),
    )


def _price(found: Any, by: str) -> str:
    stars = found.paid_message_star_count
    if not stars:
        return tr("Messages of others than administrators cost nothing here any more.")
    return trn(
        "Each message of others than administrators costs {count} star here from now on.",
        "Each message of others than administrators costs {count} stars here from now on.",
        stars,
    )


def _tasks(found: Any, by: str) -> str:
    """Of which list they are, and what is done there, is told by an edit of the list as well."""
    tasks = ", ".join(_one_line(task.text) for task in found.tasks[:_MOST_NAMES])
    return tr("{name} has added to a list: {tasks}.", name=by, tasks=tasks)


def _done(found: Any, by: str) -> str:
    listed = getattr(found.checklist_message, "checklist", None)
    texts = {} if listed is None else {task.id: _one_line(task.text) for task in listed.tasks}
    done = tuple(filter(None, map(texts.get, found.marked_as_done_task_ids or ())))
    undone = tuple(filter(None, map(texts.get, found.marked_as_not_done_task_ids or ())))
    if done and not undone:
        return tr("{name} has ticked off: {tasks}.", name=by, tasks=", ".join(done))
    if undone and not done:
        return tr("{name} has not done after all: {tasks}.", name=by, tasks=", ".join(undone))
    return tr("{name} has changed what is done of a list.", name=by)


_TOLD: Final[dict[str, Callable[[Any, str], str]]] = {
    "pinned_message": lambda _, by: tr("{name} has pinned a message.", name=by),
    "message_auto_delete_timer_changed": _timer,
    "video_chat_scheduled": lambda _, by: tr("{name} has planned a video chat.", name=by),
    "video_chat_started": lambda _, by: tr(
        "{name} has begun a video chat. It is in Telegram: bots cannot take part.", name=by
    ),
    "video_chat_ended": lambda found, _: tr(
        "The video chat is over, after {time}.", time=spoken(found.duration.total_seconds())
    ),
    "video_chat_participants_invited": lambda found, by: tr(
        "{name} asks into the video chat: {others}.", name=by, others=_names(found.users)
    ),
    "proximity_alert_triggered": _proximity,
    "boost_added": lambda _, by: tr("{name} has boosted this group.", name=by),
    "chat_owner_left": _owner_left,
    "chat_owner_changed": lambda found, by: tr(
        "{name} has handed this group over to {other}.", name=by, other=_names([found.new_owner])
    ),
    "paid_message_price_changed": _price,
    "giveaway_created": lambda _, by: tr("{name} has begun a prize draw.", name=by),
    "giveaway_completed": lambda found, _: trn(
        "The prize draw is over, with {count} winner.",
        "The prize draw is over, with {count} winners.",
        found.winner_count,
    ),
    "checklist_tasks_added": _tasks,
    "checklist_tasks_done": _done,
    "poll_option_added": lambda found, by: tr(
        "{name} has added an answer to a poll: {answer}.",
        name=by,
        answer=_one_line(found.option_text),
    ),
    "poll_option_deleted": lambda found, by: tr(
        "{name} has taken an answer out of a poll: {answer}.",
        name=by,
        answer=_one_line(found.option_text),
    ),
}


def _names(users: Iterable[User]) -> str:
    return ", ".join(_one_line(user.full_name) for user in list(users)[:_MOST_NAMES])


def _one_line(said: str) -> str:
    return " ".join(clean(said)[:_MOST_NAME].split())
