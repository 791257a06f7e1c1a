# SPDX-License-Identifier: Apache-2.0
"""The questions of a network's login as forms."""

from __future__ import annotations

from gateway.adapter import LoginField, LoginStep
from gateway.bridge.network import Network
from gateway.xmpp.console.model import Field, Form, Kind, Option


def form_of(network: Network, step: LoginStep, title: str = "") -> Form:
    """One step of a login, or of what ``title`` says."""
    return Form(
        title=title or f"Log in to {network.adapter.display_name}",
        instructions=step.instructions,
        fields=tuple(map(field_of, step.fields)),
    )


def field_of(asked: LoginField) -> Field:
    """One question of a login."""
    open_kind = Kind.CHOICE if asked.options else Kind.TEXT
    return Field(
        name=asked.name,
        label=asked.label,
        kind=Kind.SECRET if asked.secret else open_kind,
        hint=asked.hint,
        options=tuple(Option(option.value, option.label) for option in asked.options),
        default=asked.default,
        required=asked.required,
    )
