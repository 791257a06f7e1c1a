# SPDX-License-Identifier: Apache-2.0
"""Whether the network notifies of a chat or a group (REQ-220)."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.adapter import Muted
from gateway.bridge.splitting import brief
from gateway.errors import AdapterError
from gateway.ids import RemoteRoomId, RemoteUserId
from gateway.store.mutes import Conversation
from gateway.text.wording import tr
from gateway.xmpp.console.commands.conversations import Meant, meant_by, which_conversation
from gateway.xmpp.console.model import Dialogue, Field, Form, Kind, Option

_ALWAYS = "always"
_LENGTHS = {"1h": 3600.0, "8h": 8 * 3600.0, "1d": 86400.0, "1w": 7 * 86400.0}
_HOW_LONG = Field(
    name="how_long",
    label=tr("For how long"),
    kind=Kind.CHOICE,
    options=(
        Option(_ALWAYS, tr("Until you unmute it")),
        Option("1h", tr("An hour")),
        Option("8h", tr("8 hours")),
        Option("1d", tr("A day")),
        Option("1w", tr("A week")),
    ),
    default=_ALWAYS,
)


async def mute(talk: Dialogue) -> None:
    """The command ``mute``."""
    instructions = tr("Your apps of the network notify you no more of a chat or a group.")
    asked = () if talk.target is not None else (which_conversation(),)
    form = Form(title=tr("Mute"), instructions=instructions, fields=(*asked, _HOW_LONG), last=True)
    answers = await talk.ask(form)
    meant = meant_by(talk, answers)
    if meant is None:
        return
    account, muting = talk.account, talk.network.muting
    for_s = _LENGTHS.get(answers["how_long"])
    await talk.wait(muting.mute(account, meant.conversation, for_s))
    name, until = brief(meant.name), muting.until(account, meant.conversation)
    if until is None:
        said = tr(
            "“{name}” is muted on the network. Your XMPP clients mute by themselves. "
            "Send “unmute” to change that.",
            name=name,
        )
    else:
        said = tr(
            "“{name}” is muted on the network until {until} (UTC). Your XMPP clients mute by "
            "themselves. Send “unmute” to change that.",
            name=name,
            until=_time(until),
        )
    talk.say(said)


async def unmute(talk: Dialogue) -> None:
    """The command ``unmute``."""
    instructions = tr("Your apps of the network notify you again of a chat or a group.")
    meant = await _asked(talk, tr("Unmute"), instructions)
    if meant is not None:
        await talk.wait(talk.network.muting.unmute(talk.account, meant.conversation))
        name = brief(meant.name)
        talk.say(tr("“{name}” is not muted on the network any more.", name=name))


async def _asked(talk: Dialogue, title: str, instructions: str) -> Meant | None:
    if talk.target is not None:
        return meant_by(talk, {})
    fields = (which_conversation(),)
    form = Form(title=title, instructions=instructions, fields=fields, last=True)
    return meant_by(talk, await talk.ask(form))


# --- what lists and `about` say of it -----------------------------------------------------------


async def all_muted(talk: Dialogue) -> Muted:
    """What the user has muted on the network, as far as that is known now."""
    if talk.network.adapter.capabilities.muting:
        try:
            return await talk.wait(talk.network.muting.muted(talk.account))
        except (AdapterError, TimeoutError):
            pass  # what was asked for is shown without
    return Muted()


def marked(name: str, *, is_muted: bool) -> str:
    """A name in a list, with that."""
    return tr("{name} (muted)", name=name) if is_muted else name


async def told_of(
    talk: Dialogue, contact: RemoteUserId | None = None, room: RemoteRoomId | None = None
) -> str:
    """A line on one of them; empty where the network mutes nothing."""
    muted = await all_muted(talk)
    if contact not in muted.contacts and room not in muted.rooms:
        return tr("Muted: no") if talk.network.adapter.capabilities.muting else ""
    until = talk.network.muting.until(talk.account, Conversation(contact, room))
    if until is None:
        return tr("Muted: until you send “unmute”")
    return tr("Muted: until {until} (UTC)", until=_time(until))


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
