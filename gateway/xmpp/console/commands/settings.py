# SPDX-License-Identifier: Apache-2.0
"""What users may set for their account. The questions are made from the record of settings."""

from __future__ import annotations

from gateway.bridge import settings
from gateway.bridge.settings import Settings
from gateway.errors import SettingRefused
from gateway.xmpp.console.model import Dialogue, Field, Form, Kind, Option


def _field(setting: settings.Field) -> Field:
    return Field(
        name=setting.name,
        label=setting.label,
        kind=Kind.YES_NO if setting.is_switch else Kind.CHOICE,
        hint=setting.explanation,
        options=tuple(Option(choice.value, choice.label) for choice in setting.choices),
    )


_UNSEEN = (
    "The gateway cannot see when you are online, so you stay connected. "
    "Add it to your contacts and let it see your presence."
)

_FORM = Form(
    title="Settings",
    instructions="Your settings for this network:",
    fields=tuple(map(_field, settings.FIELDS)),
    last=True,
    edits=True,
)


def _values(current: Settings) -> dict[str, str]:
    values = {}
    for setting in settings.FIELDS:
        value = getattr(current, setting.name)
        values[setting.name] = str(int(value)) if setting.is_switch else str(value)
    return values


async def change_settings(talk: Dialogue) -> None:
    """The command ``settings``."""
    account = talk.network.accounts.of(talk.user)
    assert account is not None
    before, wrong = _values(account.settings), ""
    while True:
        answers = await talk.ask(_FORM, before, wrong=wrong)
        changes = {name: said for name, said in answers.items() if said != before[name]}
        if not changes:
            talk.say("Nothing was changed.")
            return
        try:
            await talk.network.change_settings(account, **changes)
        except SettingRefused as error:
            wrong = str(error)
        except LookupError:
            talk.say("You have no account here any more.")
            return
        else:
            talk.say("Your settings are changed.")
            if account.settings.follow_presence and not talk.network.can_see(account):
                talk.say(_UNSEEN)
            return
