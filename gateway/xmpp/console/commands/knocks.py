# SPDX-License-Identifier: Apache-2.0
"""People who ask to be let into groups of the user."""

from __future__ import annotations

from gateway.bridge.accounts import Account
from gateway.bridge.splitting import in_line
from gateway.errors import Forbidden, NotFound
from gateway.events import InviteToRoom, RemoveFromRoom
from gateway.store.knocks import Knock
from gateway.text.wording import joined, tr
from gateway.xmpp.console.model import Dialogue, Field, Form, Kind, Option


async def answer_knocks(talk: Dialogue) -> None:
    """The command ``knocks``."""
    account = talk.account
    waiting = {
        str(number): knock
        for number, knock in enumerate(talk.network.rooms.knocks(account), start=1)
    }
    if not waiting:
        talk.say(tr("Nobody asks to be let into your groups."))
        return
    options = tuple(
        Option(number, joined((_person(talk, knock), _group(talk, account, knock)), ": "))
        for number, knock in waiting.items()
    )
    fields = (
        Field(name="who", label=tr("Who"), kind=Kind.CHOICE, options=options),
        Field(name="let_in", label=tr("Let them in"), kind=Kind.YES_NO, default="1"),
    )
    instructions = tr("You decide whether somebody comes into a group of yours.")
    form = Form(
        title=tr("Who asks to be let in"), instructions=instructions, fields=fields, last=True
    )
    answers = await talk.ask(form)
    knock, lets_in = waiting[answers["who"]], answers["let_in"] == "1"
    await talk.wait(_answer(talk, account, knock, lets_in=lets_in))
    invited, refused = (
        tr("{person} is invited to the group “{group}”."),
        tr("{person} is not let into the group “{group}”."),
    )
    done = invited if lets_in else refused
    talk.say(done.format(person=_person(talk, knock), group=_group(talk, account, knock)))


async def _answer(talk: Dialogue, account: Account, knock: Knock, *, lets_in: bool) -> None:
    """The network tells by its own event that they are answered. If it does not know that they
    have asked, they have not any more."""
    kind = InviteToRoom if lets_in else RemoveFromRoom
    try:
        await talk.network.rooms.management.do(account, kind(room=knock.room, user=knock.user))
    except (Forbidden, NotFound):
        await talk.network.rooms.forget_knock(account, knock)
        raise


def _person(talk: Dialogue, knock: Knock) -> str:
    address, name = talk.address_of(knock.user), in_line(knock.name)
    return f"{name} ({address})" if name else address


def _group(talk: Dialogue, account: Account, knock: Knock) -> str:
    room = talk.network.rooms.known(account, knock.room)
    return in_line(room.name if room is not None else "") or tr("without a name")
