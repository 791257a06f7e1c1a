# SPDX-License-Identifier: Apache-2.0
"""What a user may ask and decide about encryption."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.matrix.e2e.machine import Machine
from adapters.matrix.settings import END
from gateway.adapter import EncryptionFlow, LoginField, LoginOption, LoginStep

_RECOVER = LoginOption(value="recover", label="Give my recovery key or passphrase")
_ALL = LoginOption(value="all", label="Write to all devices of the people I talk with")
_SIGNED = LoginOption(
    value="signed", label="Write only to devices that their owners have verified"
)
_KEY = LoginField(name="recovery_key", label="Recovery key or passphrase", secret=True)


class MatrixEncryptionFlow(EncryptionFlow):
    """First what is to be done, then what that needs."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def first(self) -> LoginStep:
        machine = self._machine
        signed = (
            "You have verified it."
            if machine.is_signed
            else "It is not verified, so some people's apps may not let it read their messages."
        )
        backup = (
            "It looks for missing keys in your backup."
            if machine.has_backup
            else "It cannot use your key backup."
        )
        policy = _SIGNED if machine.signed_only else _ALL
        return LoginStep(
            instructions=(
                f"{END}\nThe device is called {machine.device_id}; its key is "
                f"{machine.fingerprint}. {signed} {backup}\nNow: {policy.label}."
            ),
            fields=(
                LoginField(
                    name="action",
                    label="What do you want to do",
                    options=(_RECOVER, _ALL, _SIGNED),
                ),
            ),
        )

    async def submit(self, answers: Mapping[str, str]) -> LoginStep | str:
        action = answers["action"]
        if action != "recover":
            await self._machine.encrypt_to(signed_only=action == "signed")
            return f"From now on: {(_SIGNED if action == 'signed' else _ALL).label}."
        if "recovery_key" not in answers:
            said = "Your other Matrix apps have shown you a recovery key when you set it up."
            return LoginStep(instructions=said, fields=(_KEY,))
        opened = await self._machine.recover(answers["recovery_key"])
        if opened is None:
            return "The gateway's device is verified. You have no key backup."
        more = f" {opened} waiting messages could be read." if opened else ""
        return f"The gateway's device is verified, and it can use your key backup.{more}"
