# SPDX-License-Identifier: Apache-2.0
"""Answers to a part of a message.

Bot API, "ReplyParameters": the part has to be there as it is, with its styles; else the answer is
refused, and nothing is sent. The gateway has it as users were told it, with people by other names;
so then the whole message is answered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from telegram import ReplyParameters
from telegram.error import BadRequest

from adapters.telegram.entities import units
from gateway.events import SendRoomText, SendText

_LONGEST: Final = 1024
Made = TypeVar("Made")


def answer_to(message: int, command: SendText | SendRoomText, **more: Any) -> ReplyParameters:
    """What a command answers. ``more``: of `ReplyParameters`."""
    is_quoted = 0 < units(command.cites) <= _LONGEST
    return ReplyParameters(message, quote=command.cites if is_quoted else None, **more)


async def answered(
    reply: ReplyParameters | None, send: Callable[[ReplyParameters | None], Awaitable[Made]]
) -> Made:
    """What is sent in answer to that. Raises as ``send`` does."""
    try:
        return await send(reply)
    except BadRequest as error:
        if reply is None or reply.quote is None or "QUOTE_" not in error.message.upper():
            raise
    without = reply.allow_sending_without_reply
    return await send(ReplyParameters(reply.message_id, allow_sending_without_reply=without))
