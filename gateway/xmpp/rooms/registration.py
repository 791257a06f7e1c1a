# SPDX-License-Identifier: Apache-2.0
"""The nick that is the user's own in a room (XEP-0045 §7.10; REQ-527)."""

from __future__ import annotations

from gateway.locale import in_language
from gateway.text.wording import tr
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.xml import attribute, speaking, text
from gateway.xmpp.rooms.stanzas import MUC

REGISTER = "jabber:iq:register"
_FORM_TYPE = f"{MUC}#register"


def registered(called: str, language: str) -> str:
    """Whoever is in the group, or invited to it, is known there by the name that they have."""
    label = attribute(in_language(tr("Name"), language))
    nick = f"<value>{text(called)}</value>"
    return (
        f"<query xmlns='{REGISTER}'{speaking(language)}><registered/>"
        f"<username>{text(called)}</username>"
        f"<x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE' type='hidden'>"
        f"<value>{_FORM_TYPE}</value></field><field var='muc#register_roomnick'"
        f" type='text-single' label='{label}'>{nick}</field></x></query>"
    )


def refuse(network: str) -> str:
    """Nobody is called otherwise here than there. Raises `Refused`."""
    said = tr(
        "Your name in the group is the one that you have on {network}. Change it there.",
        network=network,
    )
    raise Refused(errors.NOT_ACCEPTABLE, said)
