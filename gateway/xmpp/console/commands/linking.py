# SPDX-License-Identifier: Apache-2.0
"""Groups of the network that people join here without an account of their own: linking them,
ending that, and who may come in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.bridge.portals.portals import CODE_S
from gateway.bridge.portals.ruling import IS_PRIVATE
from gateway.ids import RemoteUserId
from gateway.store.portals import Portal
from gateway.store.rooms import RoomRow
from gateway.tasks import contained_now
from gateway.text.wording import joined, tr, trc
from gateway.xmpp.console.commands.choosing import (
    chosen,
    confirmed,
    group_field,
    meant,
    name_of,
    told_apart,
)
from gateway.xmpp.console.fits import may_link_groups, rules_linked_groups, sees_linked_groups
from gateway.xmpp.console.model import (
    Command,
    Dialogue,
    Field,
    Form,
    Kind,
    Note,
    Option,
    Place,
    Table,
)

_SHOWN = 200
"""Rows of a table: a stanza has to stay small (REQ-105)."""
_NAMED, _EVERYBODY = "named", "everybody"
_WHO = {
    _NAMED: tr("Only who is named or invited in the room"),
    _EVERYBODY: tr("Everybody who may use this gateway"),
}
_NO_HOUSE = tr(
    "This gateway has no account of its own on the network, so groups cannot be linked here."
)
_NO_ADDRESS = tr("not known yet")
_NONE_OF_YOURS = tr("No linked group is yours.")
_UNKNOWN = tr("No linked group of yours has this name or address, or several have this name.")


def _comes_in(portal: Portal) -> str:
    return _WHO[_NAMED if portal.is_closed else _EVERYBODY]


def _who_field(default: str = "") -> Field:
    options = tuple(Option(value, label) for value, label in _WHO.items())
    return Field(
        name="who",
        label=tr("Who may come in"),
        kind=Kind.CHOICE,
        hint=tr(
            "They read all that is said in the group from then on. Into a group that is private "
            "on the network only who is named comes in."
        ),
        options=options,
        default=default,
    )


async def link_group(talk: Dialogue) -> None:
    """The command ``link-group``."""
    network = talk.network
    if network.accounts.house is None:
        talk.say(_NO_HOUSE, Note.ERROR)
        return
    instructions = tr(
        "A group of {network} becomes a room here, and people join it without an account there: "
        "the gateway's own account says in the group what they write, with their nicks. What is "
        "said in the group from then on is also in the archive of the room. Please ask the people "
        "of the group first.",
        network=network.adapter.display_name,
    )
    title, fields = tr("Link a group"), (_who_field(_NAMED),)
    form = Form(title=title, instructions=instructions, fields=fields, last=True)
    members_only = (await talk.ask(form))["who"] == _NAMED
    by_admin = talk.is_admin(talk.user)
    code = await network.portals.new_code(talk.user, by_admin=by_admin, members_only=members_only)
    steps = contained_now(network.adapter.how_to_link, code.code)
    admin = tr("Any admin of the group may do that.")
    owner = tr("The owner of the group has to do that.")
    counts = tr("The code counts for {minutes} minutes, and once.", minutes=round(CODE_S / 60))
    then = tr("When the group is linked, you are told here where its room is.")
    talk.say(joined((steps, admin if by_admin else owner, counts, then), "\n"))


def _groups(talk: Dialogue, portals: Sequence[Portal]) -> dict[str, tuple[Portal, RoomRow | None]]:
    """By address, in the order of their names. The room is None before the network has told of
    it."""
    house = talk.network.accounts.house
    found = [
        (portal, None if house is None else talk.network.rooms.known(house, portal.room))
        for portal in portals
    ]
    found.sort(key=lambda one: "" if one[1] is None else one[1].name.casefold())
    return {talk.address_of(RemoteUserId(one[0].room)): one for one in found}


def _names(groups: Mapping[str, tuple[Portal, RoomRow | None]]) -> dict[str, str]:
    return told_apart(
        {address: "" if room is None else room.name for address, (_, room) in groups.items()}
    )


async def list_linked(talk: Dialogue) -> None:
    """The command ``linked-groups``."""
    is_admin = talk.is_admin(talk.user)
    found = talk.network.portals.seen_by(talk.user, everything=is_admin)
    columns = [("name", tr("Group")), ("room", tr("To join it")), ("who", tr("Who may come in"))]
    if is_admin:  # nobody else is to know addresses of others
        columns.append(("by", tr("Linked by")))
    rows = [
        (
            tr("without a name") if room is None else name_of(room),
            _NO_ADDRESS if room is None else talk.room_uri(room),
            _comes_in(portal),
            portal.linked_by,
        )[: len(columns)]
        for portal, room in list(_groups(talk, found).values())[:_SHOWN]
    ]
    if rows:
        talk.show(Table(title=tr("Linked groups"), columns=tuple(columns), rows=tuple(rows)))
    more = tr("The first {shown} are shown.", shown=_SHOWN) if len(found) > _SHOWN else ""
    talk.say(joined((tr("Linked groups: {count}.", count=len(found)), more)))


def _ruled(talk: Dialogue) -> dict[str, tuple[Portal, RoomRow | None]]:
    everything = talk.is_admin(talk.user)
    return _groups(talk, talk.network.portals.ruled_by(talk.user, everything=everything))


async def unlink_group(talk: Dialogue) -> None:
    """The command ``unlink-group``."""
    groups = _ruled(talk)
    if not groups:
        talk.say(_NONE_OF_YOURS)
        return
    names = _names(groups)
    form = Form(
        title=tr("Unlink a group"),
        instructions=tr("Nobody is in a group from here any more. On the network it stays."),
        fields=(group_field(names),),
    )
    sure = await confirmed(talk, groups, names, form, _sure_to_unlink, _UNKNOWN)
    if sure is None:
        return
    (portal, _), _ = sure
    address = talk.address_of(RemoteUserId(portal.room))
    if address not in _ruled(talk):  # no longer
        talk.say(_UNKNOWN, Note.ERROR)
        return
    await talk.network.portals.unlink(portal.room, by=talk.user)
    talk.say(tr("The group “{name}” is not linked any more.", name=names[address]))


def _sure_to_unlink(name: str) -> Form:
    sure = Field(
        name="sure", label=tr("Unlink “{name}”", name=name), kind=Kind.YES_NO, default="0"
    )
    question = tr(
        "Everybody who has joined the group “{name}” here is put out of it. To link it again "
        "takes a new code.",
        name=name,
    )
    return Form(title=tr("Unlink a group"), instructions=question, fields=(sure,), last=True)


async def open_group(talk: Dialogue) -> None:
    """The command ``open-group``."""
    groups = _ruled(talk)
    if not groups:
        talk.say(_NONE_OF_YOURS)
        return
    names, here = _names(groups), meant(talk)
    instructions = tr("Where only who is named comes in, others who are in it are put out.")
    form = Form(
        title=tr("Who may come into a linked group"),
        instructions=instructions,
        fields=(*(() if here else (group_field(names),)), _who_field()),
        last=True,
    )
    answers = await talk.ask(form)
    address = here or chosen(talk, names, answers["group"]) or ""
    portal, _ = _ruled(talk).get(address, (None, None))
    if portal is None:
        talk.say(_UNKNOWN, Note.ERROR)
        return
    members_only = answers["who"] == _NAMED
    if portal.is_private and not members_only:
        talk.say(IS_PRIVATE, Note.ERROR)
        return
    await talk.network.portals.open_up(portal.room, members_only=members_only)
    who = _WHO[answers["who"]]
    talk.say(tr("Who may come into the group “{name}”: {who}.", name=names[address], who=who))


LINKING = (
    Command(
        name=trc("command", "link-group"),
        title=tr("Link a group"),
        summary=tr("let people join a group of the network here without an account there"),
        run=link_group,
        also_for_admins=True,
        is_particular=True,
        fits=may_link_groups,
    ),
    Command(
        name=trc("command", "linked-groups"),
        title=tr("Linked groups"),
        summary=tr("groups that you may join without an account"),
        run=list_linked,
        also_for_admins=True,
        is_particular=True,
        fits=sees_linked_groups,
    ),
    Command(
        name=trc("command", "open-group"),
        title=tr("Who may come into a linked group"),
        summary=tr("say who may come into a linked group of yours"),
        run=open_group,
        also_for_admins=True,
        places=frozenset({Place.GATEWAY, Place.ROOM}),
        takes_word=True,
        is_particular=True,
        fits=rules_linked_groups,
    ),
    Command(
        name=trc("command", "unlink-group"),
        title=tr("Unlink a group"),
        summary=tr("let nobody be in a linked group of yours from here any more"),
        run=unlink_group,
        also_for_admins=True,
        places=frozenset({Place.GATEWAY, Place.ROOM}),
        takes_word=True,
        is_particular=True,
        fits=rules_linked_groups,
    ),
)
"""The commands about linked groups."""
