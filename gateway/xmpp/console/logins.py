# SPDX-License-Identifier: Apache-2.0
"""The questions of a network, about a login or encryption, as forms."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.adapter import LoginField, LoginStep
from gateway.bridge.network import Network
from gateway.text.wording import tr
from gateway.xmpp.console.model import Field, Form, Kind, Option


@dataclass(slots=True)
class Stage:
    """One step, and what was answered."""

    step: LoginStep
    answers: dict[str, str] = field(default_factory=dict, repr=False)

    def forget_secrets(self) -> None:
        """Nobody is shown a secret again."""
        for asked in self.step.fields:
            if asked.secret:
                self.answers.pop(asked.name, None)

    def forget_wrong(self, name: str | None) -> None:
        """Ask again for the wrong answer and for secrets, not for the rest."""
        self.forget_secrets()
        for asked in self.step.fields:
            if name is None or asked.name == name:
                self.answers.pop(asked.name, None)


def form_of(network: Network, step: LoginStep, title: str = "") -> Form:
    """One step of a login, or of what ``title`` says."""
    return Form(
        title=title or tr("Log in to {display_name}", display_name=network.adapter.display_name),
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
