# SPDX-License-Identifier: Apache-2.0
"""What users may set for their account. The questions are made from the record of settings."""

from __future__ import annotations

from gateway.bridge.accounts import settings
from gateway.bridge.accounts.settings import Settings
from gateway.errors import SettingRefused
from gateway.text.wording import tr
from gateway.xmpp.console.model import Back, Dialogue, Field, Form, Kind, Option


def _field(setting: settings.Field) -> Field:
    return Field(
        name=setting.name,
        label=setting.label,
        kind=Kind.YES_NO if setting.is_switch else Kind.CHOICE,
        hint=setting.explanation,
        options=tuple(Option(choice.value, choice.label) for choice in setting.choices),
    )


_GONE = tr("You have no account here any more.")
_UNSEEN = tr(
    "The gateway cannot see when you are online, so you stay connected. Add "
    "it to your contacts and let it see your presence.",
)


def _section(group: str) -> Form:
    """The settings of a group: as many as a screen of 24 lines has room for (REQ-832)."""
    fields = tuple(_field(setting) for setting in settings.FIELDS if setting.group == group)
    return Form(title=tr("Settings"), instructions=group, fields=fields, last=True, edits=True)


_SECTIONS = {
    str(number): _section(group)
    for number, group in enumerate(dict.fromkeys(each.group for each in settings.FIELDS), 1)
}
_WHICH = Form(
    title=tr("Settings"),
    instructions=tr("Your settings for this network:"),
    fields=(
        Field(
            name="section",
            label=tr("Which settings"),
            kind=Kind.CHOICE,
            options=tuple(Option(name, form.instructions) for name, form in _SECTIONS.items()),
            default="1",
        ),
    ),
)


def _values(current: Settings) -> dict[str, str]:
    values = {}
    for setting in settings.FIELDS:
        value = getattr(current, setting.name)
        values[setting.name] = str(int(value)) if setting.is_switch else str(value)
    return values


async def change_settings(talk: Dialogue) -> None:
    """The command ``settings``: which of them, then those; from there one may go back."""
    while True:
        chosen = await talk.ask(_WHICH)
        try:
            await _change(talk, _SECTIONS[chosen["section"]])
        except Back:
            continue
        return


async def _change(talk: Dialogue, section: Form) -> None:
    """Raises `Back`."""
    account = talk.network.accounts.of(talk.user)
    if account is None:
        talk.say(_GONE)
        return
    before, wrong = _values(account.settings), ""
    while True:
        answers = await talk.ask(section, before, wrong=wrong, back=True)
        changes = {name: said for name, said in answers.items() if said != before[name]}
        if not changes:
            talk.say(tr("Nothing was changed."))
            return
        try:
            await talk.network.change_settings(account, **changes)
        except SettingRefused as error:
            wrong = str(error)
        except LookupError:
            talk.say(_GONE)
            return
        else:
            talk.say(tr("Your settings are changed."))
            if account.settings.follow_presence and not talk.network.can_see(account):
                talk.say(_UNSEEN)
            return
