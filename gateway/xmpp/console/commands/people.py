# SPDX-License-Identifier: Apache-2.0
"""Taking over the contacts of the network, and blocking some of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.adapter import Muted
from gateway.bridge.accounts import Account
from gateway.bridge.contacts.asking import IN_AN_HOUR
from gateway.bridge.contacts.roster import Way
from gateway.bridge.splitting import brief, in_line
from gateway.text.wording import joined, tr, trn
from gateway.xmpp.console.commands.contacts import whom
from gateway.xmpp.console.commands.muting import all_muted, marked
from gateway.xmpp.console.model import Dialogue, Field, Form, Kind, Note, Option, Table

_NONE, _TALKED, _ALL = "none", "talked", "all"
_SHOWN = 200
"""Rows of a table: a stanza has to stay small (REQ-105)."""
_NOBODY = tr("You have blocked nobody.")


async def import_contacts(talk: Dialogue) -> None:
    """The command ``import`` (REQ-229)."""
    account, people = talk.account, talk.network.contacts.own_people
    found = await talk.wait(people.contacts(account))
    if not found:
        talk.say(tr("You have no contacts on the network."))
        return
    talked = [each for each in found if each.was_talked_with]
    asked = Field(
        name="which",
        label=tr("Which of them to take over"),
        kind=Kind.CHOICE,
        options=(
            Option(_NONE, tr("None")),
            Option(_TALKED, tr("People I talked to ({count})", count=len(talked))),
            Option(_ALL, tr("All ({count})", count=len(found))),
        ),
        default=_NONE,
    )
    counted = trn(
        "You have {count} contact on the network.",
        "You have {count} contacts on the network.",
        len(found),
    )
    instructions = joined((counted, _how(talk, account)))
    form = Form(title=tr("Import contacts"), instructions=instructions, fields=(asked,), last=True)
    which = (await talk.ask(form))["which"]
    if which == _NONE:
        talk.say(tr("Nothing was changed."))
        return
    chosen = talked if which == _TALKED else found
    new, way = await talk.wait(people.take_over(account, chosen))
    talk.say(_DONE[way](new) if new else _NOBODY_NEW)


async def list_contacts(talk: Dialogue) -> None:
    """The command ``contacts``."""
    found = await talk.wait(talk.network.contacts.own_people.contacts(talk.account))
    muted = await all_muted(talk) if found else Muted()
    rows = tuple(
        (
            marked(in_line(one.name) or one.id, is_muted=one.id in muted.contacts),
            talk.address_of(one.id),
        )
        for one in found[:_SHOWN]
    )
    if rows:
        columns = (("name", tr("Name")), ("address", tr("Address")))
        talk.show(Table(title=tr("Contacts"), columns=columns, rows=rows))
    more = tr("The first {shown} are shown.", shown=len(rows)) if len(found) > len(rows) else ""
    talk.say(joined((tr("Contacts: {count}.", count=len(found)), more)))


def _how(talk: Dialogue, account: Account) -> str:
    if talk.network.contacts.roster.may_write(account):
        return tr("They are put into your contact list.")
    return tr(
        "Your server does not let the gateway write your contact list. If your client can add "
        "many at once, they are offered to it. Else each asks you to be added, {count} at most "
        "now, and the others when they write to you.",
        count=IN_AN_HOUR,
    )


def _asked(new: int) -> str:
    asked = trn(
        "{count} contact asks you to be added now.",
        "{count} contacts ask you to be added now.",
        min(new, IN_AN_HOUR),
    )
    others = tr("The others will when they write to you.") if new > IN_AN_HOUR else ""
    return joined((asked, others))


_NOBODY_NEW = tr("All of them were taken over before. Whom you have removed stays away.")
_DONE: Mapping[Way, Callable[[int], str]] = {
    Way.WRITTEN: lambda new: trn(
        "{count} contact comes into your contact list within minutes.",
        "{count} contacts come into your contact list within minutes.",
        new,
    ),
    Way.OFFERED: lambda new: trn(
        "Your client was offered {count} contact. It asks you what to do with it.",
        "Your client was offered {count} contacts. It asks you what to do with them.",
        new,
    ),
    Way.ASKED: _asked,
}


async def block(talk: Dialogue) -> None:
    """The command ``block``."""
    account = talk.account
    instructions = tr("You hear nothing more of somebody, neither here nor in other apps.")
    contact = await whom(talk, tr("Block a contact"), instructions)
    if contact is None:
        return
    if contact == account.remote_id:
        talk.say(tr("That is you."), Note.ERROR)
        return
    await talk.wait(talk.network.contacts.own_people.block(account, contact, True))
    talk.say(tr("{contact} is blocked. Send “unblock” to change that.", contact=brief(contact)))


async def unblock(talk: Dialogue) -> None:
    """The command ``unblock``."""
    account = talk.account
    if not account.blocked:
        talk.say(_NOBODY)
        return
    instructions = tr("You hear again of somebody whom you have blocked.")
    contact = await whom(talk, tr("Unblock a contact"), instructions)
    if contact is None:
        return
    if contact not in account.blocked:
        talk.say(tr("{contact} is not blocked.", contact=brief(contact)), Note.ERROR)
        return
    await talk.wait(talk.network.contacts.own_people.block(account, contact, False))
    talk.say(tr("{contact} is not blocked any more.", contact=brief(contact)))


async def report(talk: Dialogue) -> None:
    """The command ``report`` (REQ-714)."""
    account = talk.account
    title = tr("Report a contact")
    instructions = tr("Those who run the network are told that somebody behaves badly.")
    contact = await whom(talk, title, instructions)
    if contact is None:
        return
    why = Field(name="reason", label=tr("Why"), hint=tr("They read it."), required=False)
    form = Form(title=title, instructions=instructions, fields=(why,), last=True)
    reason = brief((await talk.ask(form))["reason"])
    await talk.wait(talk.network.contacts.own_people.report(account, contact, reason))
    talk.say(
        tr(
            "{contact} is reported. Send “block” to hear nothing more of them.",
            contact=brief(contact),
        )
    )


async def list_blocked(talk: Dialogue) -> None:
    """The command ``blocked``."""
    account = talk.account
    if not account.blocked:
        talk.say(_NOBODY)
        return
    blocked = sorted(account.blocked)
    rows = tuple((each, talk.address_of(each)) for each in blocked[:_SHOWN])
    columns = (("contact", tr("Contact")), ("address", tr("Address here")))
    talk.show(Table(title=tr("Blocked contacts"), columns=columns, rows=rows))
    more = tr("The first {shown} are shown.", shown=_SHOWN) if len(blocked) > _SHOWN else ""
    talk.say(joined((tr("Blocked contacts: {count}.", count=len(blocked)), more)))
