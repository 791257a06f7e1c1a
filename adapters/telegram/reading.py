# SPDX-License-Identifier: Apache-2.0
"""Updates as the library reads them. No I/O.

Bot API, "Update", "Message". What a message answers comes with it as a whole, and may be of a kind
that the library cannot read; then it could not read the message either. So of that it is given
only what is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telegram import Bot, Update

_ANSWERED = "reply_to_message"
_OF_ANSWERED = ("message_id", "date", "chat", "from", "forum_topic_created")
_UNUSED = ("external_reply",)


def update_in(raw: Mapping[str, Any], bot: Bot) -> Update:
    """Raises whatever the library does of what it cannot read."""
    return Update.de_json({kind: _read(about) for kind, about in raw.items()}, bot)


def _read(about: Any) -> Any:
    if not isinstance(about, dict):
        return about
    read = {name: value for name, value in about.items() if name not in _UNUSED}
    if isinstance(answered := read.get(_ANSWERED), dict):
        read[_ANSWERED] = {name: answered[name] for name in _OF_ANSWERED if name in answered}
    return read
