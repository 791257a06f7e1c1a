# SPDX-License-Identifier: Apache-2.0
"""What a room is, as owners see and change it (XEP-0045 §10.2; REQ-544).

The form has only what can be said of a group: what cannot be changed is there as it is, since
clients submit the whole of a form, and some want certain fields. Only differences are applied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from gateway.bridge.accounts import Account
from gateway.errors import AdapterError
from gateway.events import Affiliation, DescribeRoom, DestroyRoom, RoomRight
from gateway.locale import in_language, spoken
from gateway.store.rooms import RoomRow
from gateway.text.wording import tr
from gateway.xmpp.asked import LaterAnswer, Request
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.xml import attribute, speaking, text
from gateway.xmpp.rooms.refusals import refused
from gateway.xmpp.rooms.stanzas import MUC

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_OWNER = f"{MUC}#owner"
_KEY = f"{{{_OWNER}}}query"
_CONFIG, _VAR = f"{MUC}#roomconfig", "muc#roomconfig"
_DATA = "jabber:x:data"
_MOST_CHARS = 10_000
_NAME, _ABOUT = f"{_VAR}_roomname", f"{_VAR}_roomdesc"
_MEMBERS_ONLY = f"{_VAR}_membersonly"
_WHOIS, _CLOSED, _OPEN = f"{_VAR}_whois", "anyone", "moderators"
_TRUE, _FALSE = frozenset({"1", "true"}), frozenset({"0", "false"})
_NO_SUCH_CHOICE = tr("This cannot be set in groups of this network: {label}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    var: str
    type: str
    label: str
    value: str
    options: tuple[str, ...] = ()

    def xml(self) -> str:
        listed = "".join(f"<option><value>{option}</value></option>" for option in self.options)
        return (
            f"<field var='{self.var}' type='{self.type}' label='{attribute(self.label)}'>"
            f"<value>{text(self.value)}</value>{listed}</field>"
        )


def _form(room: RoomRow, *, moderated: bool, invites: bool) -> list[_Field]:
    def yes_no(name: str, label: str, value: bool) -> _Field:
        return _Field(
            var=f"{_VAR}_{name}", type="boolean", label=label, value="1" if value else "0"
        )

    about = " ".join(room.topic.split())
    return [
        _Field(var=_NAME, type="text-single", label=tr("Name"), value=room.name),
        _Field(var=_ABOUT, type="text-single", label=tr("Topic"), value=about),
        yes_no("membersonly", tr("Only who is invited comes in"), room.private),
        _Field(
            var=_WHOIS,
            type="list-single",
            label=tr("Who sees the addresses of others"),
            value=_CLOSED if room.private else _OPEN,
            options=(_OPEN, _CLOSED),
        ),
        yes_no("publicroom", tr("Can be found by everybody"), room.is_listed and not room.private),
        yes_no("persistentroom", tr("Stays when nobody is there"), True),
        yes_no("moderatedroom", tr("Not everybody may speak"), moderated),
        yes_no("changesubject", tr("Everybody may change the topic"), False),
        yes_no("allowinvites", tr("You may invite others"), invites),
        yes_no("enablearchiving", tr("What is said is kept"), True),
    ]


class Configuration:
    """Of all rooms of one component. ``later`` as that of `RoomAnswers`."""

    def __init__(
        self, component: Component, find: Callable[[Request], tuple[Account, RoomRow]]
    ) -> None:
        self._component = component
        self._rooms = component.network.rooms
        self._management = component.network.rooms.management
        self._find = find
        self.later: dict[tuple[str, str], LaterAnswer] = {
            ("get", _KEY): self._get,
            ("set", _KEY): self._set,
        }

    def _room(self, request: Request) -> tuple[Account, RoomRow]:
        account, room = self._find(request)
        me = self._rooms.me(account, room)
        if me is None or request.to.resource:
            raise Refused(errors.BAD_REQUEST, tr("This is asked of the room itself."))
        if me.affiliation is not Affiliation.OWNER:
            raise Refused(errors.FORBIDDEN, tr("Only owners of the group can do this."))
        return account, room

    def _fields(self, account: Account, room: RoomRow) -> list[_Field]:
        return _form(
            room,
            moderated=self._rooms.has_visitors(room),
            invites=self._rooms.may(account, room, RoomRight.INVITE),
        )

    async def _get(self, request: Request) -> str:
        account, room = self._room(request)
        if not self._management.is_possible(DescribeRoom):
            raise Refused(
                errors.NOT_ALLOWED, tr("Groups of this network cannot be changed from here.")
            )
        language = self._component.language_of(account.user)
        asked = spoken(self._fields(account, room), language)
        title, fields = in_language(tr("Group"), language), "".join(map(_Field.xml, asked))
        return (
            f"<query xmlns='{_OWNER}'{speaking(language)}>"
            f"<x xmlns='{_DATA}' type='form'><title>{text(title)}</title>"
            f"<field var='FORM_TYPE' type='hidden'><value>{_CONFIG}</value></field>"
            f"{fields}</x></query>"
        )

    async def _set(self, request: Request) -> str:
        account, room = self._room(request)
        if request.payload.find(f"{{{_OWNER}}}destroy") is not None:
            raise Refused(errors.NOT_ALLOWED, self._not_destroyed())
        submitted = _submitted(request.payload)
        if submitted is None:
            return ""
        change = difference(room, self._fields(account, room), submitted)
        if change is not None:
            try:
                await self._management.do(account, change)
            except AdapterError as error:
                raise refused(error) from error
        return ""

    def _not_destroyed(self) -> str:
        """REQ-548: clients differ in whether they ask first, so the gateway does."""
        if not self._management.is_possible(DestroyRoom):
            return tr("A group of this network cannot be destroyed from here.")
        gateway = self._component.domain
        return tr(
            "To destroy the group for everybody, send “destroy” to {gateway}.", gateway=gateway
        )


def _submitted(query: Element) -> Mapping[str, str] | None:
    """The values, by name; None if the form was cancelled. Raises `Refused`."""
    forms = query.findall(f"{{{_DATA}}}x")
    if len(forms) != 1 or len(query) != 1:
        raise Refused(errors.BAD_REQUEST, tr("One submitted form is expected."))
    if forms[0].get("type") == "cancel":
        return None
    if forms[0].get("type") != "submit":
        raise Refused(errors.BAD_REQUEST, tr("One submitted form is expected."))
    values: dict[str, str] = {}
    for field in forms[0].findall(f"{{{_DATA}}}field"):
        var, found = field.get("var", ""), field.findall(f"{{{_DATA}}}value")
        if not var or var in values or len(found) > 1:
            raise Refused(errors.BAD_REQUEST, tr("One value is expected for each field."))
        values[var] = (found[0].text or "") if found else ""
    if values.pop("FORM_TYPE", _CONFIG) != _CONFIG:
        raise Refused(errors.BAD_REQUEST, tr("This is another form."))
    return values


def difference(
    room: RoomRow, fields: list[_Field], submitted: Mapping[str, str]
) -> DescribeRoom | None:
    """What is to be changed. None: nothing. Raises `Refused`, whatever else is submitted."""
    known = {field.var: field for field in fields}
    changed: dict[str, str] = {}
    for var, value in submitted.items():
        field = known.get(var)
        if var == "mam":  # what ejabberd calls it, and so do clients
            field = known[f"{_VAR}_enablearchiving"]
        if field is None:
            raise Refused(
                errors.NOT_ACCEPTABLE, tr("Groups of this network do not know {var}.", var=var)
            )
        if field.type == "boolean":
            value = _boolean(field, value)
        if value != field.value:
            changed[var] = value
    private = {"1": True, "0": False}.get(changed.pop(_MEMBERS_ONLY, ""))
    name, about = changed.pop(_NAME, None), changed.pop(_ABOUT, None)
    if changed.get(_WHOIS) == (_CLOSED if private else _OPEN) and private is not None:
        del changed[_WHOIS]  # goes with it
    if changed:
        var = next(iter(changed))
        label = known[var].label if var in known else var
        raise Refused(errors.NOT_ACCEPTABLE, _NO_SUCH_CHOICE.format(label=label))
    if len(name or "") > _MOST_CHARS or len(about or "") > _MOST_CHARS:
        raise Refused(errors.NOT_ACCEPTABLE, tr("This is too long."))
    if name is None and about is None and private is None:
        return None
    return DescribeRoom(room=room.remote_id, name=name, topic=about, is_private=private)


def _boolean(field: _Field, value: str) -> str:
    if value in _TRUE:
        return "1"
    if value in _FALSE:
        return "0"
    raise Refused(errors.BAD_REQUEST, tr("Yes or no is expected: {label}.", label=field.label))
