# SPDX-License-Identifier: Apache-2.0
"""What an admin can do about a server that ends the stream, as Prosody and ejabberd say it."""

from __future__ import annotations

_ADVICE = {
    "stream error not-authorized": "compare the secrets; ejabberd says the same when {domain} is"
    " not among the hosts of its ejabberd_service",
    "stream error host-unknown": "is {domain} a component in the server's configuration, was the"
    " server restarted since, and is xmpp.server.port its port for components?",
    "stream error invalid-namespace": "xmpp.server.port is a port for clients or servers; use the"
    " one for components",
    "stream error conflict": "find the other gateway or component of {domain} and stop it",
}


def advice_on(reason: str, domain: str) -> dict[str, str]:
    """A field for the log, if there is something to say."""
    advice = _ADVICE.get(reason)
    return {"advice": advice.format(domain=domain)} if advice else {}
