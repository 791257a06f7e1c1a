# SPDX-License-Identifier: Apache-2.0
"""Corrections that the network does not make: the text is said anew, if the user wants that
(REQ-424)."""

from __future__ import annotations

from msgspec import structs

from gateway.adapter import Sent
from gateway.bridge.accounts import Account
from gateway.errors import AdapterError, Forbidden, NotFound, Unsupported
from gateway.events import Command, SendText
from gateway.text import moved

_MARK = "✏ "


def anew(command: SendText) -> SendText:
    """The same as a text of its own, which says that it takes the place of another one."""
    spans, by = moved(command.spans, len(_MARK)), len(_MARK)
    mentions = tuple(
        structs.replace(each, begin=each.begin + by, end=each.end + by)
        for each in command.mentions
    )
    return structs.replace(
        command, body=f"{_MARK}{command.body}", edits=None, spans=spans, mentions=mentions
    )


def of_nothing(command: Command) -> SendText | None:
    """What a correction is of which the network never had the text; None if it is none."""
    if not isinstance(command, SendText) or command.edits is None:
        return None
    return structs.replace(command, edits=None)


def instead(account: Account, command: Command, outcome: Sent | AdapterError) -> SendText | None:
    """What is said in the place of a correction that the network refused, if anything is."""
    if not isinstance(command, SendText) or command.edits is None:
        return None
    is_refused = isinstance(outcome, Forbidden | NotFound | Unsupported)
    return anew(command) if is_refused and account.settings.edits_as_texts else None
