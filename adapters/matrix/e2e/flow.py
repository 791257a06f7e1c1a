# SPDX-License-Identifier: Apache-2.0
"""What a user may ask and decide about encryption."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from adapters.matrix.e2e.machine import Machine
from adapters.matrix.e2e.verification import Phase, Verification
from adapters.matrix.settings import END
from gateway.adapter import EncryptionFlow, LoginField, LoginOption, LoginStep
from gateway.errors import BadLogin

_RECOVER = LoginOption(value="recover", label="Give my recovery key or passphrase")
_VERIFY = LoginOption(value="verify", label="Compare emoji with another device of mine")
_ALL = LoginOption(value="all", label="Write to all devices of the people I talk with")
_SIGNED = LoginOption(value="signed", label="Write only to devices that their owners verified")
_KEY = LoginField(name="recovery_key", label="Recovery key or passphrase", secret=True)
_YES_NO = (LoginOption(value="yes", label="Yes"), LoginOption(value="no", label="No"))
_ACCEPTED = LoginField(
    name="accepted", label="Have you accepted the request there", options=_YES_NO
)
_SAME = LoginField(name="same", label="Does it show the same emoji in this order", options=_YES_NO)
_PATIENCE_S = 12.0
_SIGNS_S = 12.0
_ENDED = "The comparison has ended, and nothing was verified."


class MatrixEncryptionFlow(EncryptionFlow):
    """First what is to be done, then what that needs."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._verification: Verification | None = None

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
                    options=(_RECOVER, _VERIFY, _ALL, _SIGNED),
                ),
            ),
        )

    async def submit(self, answers: Mapping[str, str]) -> LoginStep | str:
        action = answers["action"]
        if action == "recover":
            return await self._recover(answers)
        if action == "verify":
            return await self._verify(answers)
        await self._machine.encrypt_to(signed_only=action == "signed")
        return f"From now on: {(_SIGNED if action == 'signed' else _ALL).label}."

    async def _recover(self, answers: Mapping[str, str]) -> LoginStep | str:
        if "recovery_key" not in answers:
            said = "Your other Matrix apps have shown you a recovery key when you set it up."
            return LoginStep(instructions=said, fields=(_KEY,))
        opened = await self._machine.recover(answers["recovery_key"])
        if opened is None:
            return "The gateway's device is verified. You have no key backup."
        more = f" {opened} waiting messages could be read." if opened else ""
        return f"The gateway's device is verified, and it can use your key backup.{more}"

    async def _verify(self, answers: Mapping[str, str]) -> LoginStep | str:
        verification = self._verification
        if verification is None:
            self._verification = await self._machine.verify()
            said = (
                "Your other Matrix apps ask now whether you want to verify a device. Accept that."
            )
            return LoginStep(instructions=said, fields=(_ACCEPTED,))
        if "same" in answers:
            return await self._compared(verification, same=answers["same"] == "yes")
        if answers.get("accepted") == "no":
            verification.cancel()
            self._machine.say()
            return _ENDED
        await _until(verification, lambda: bool(verification.emoji))
        if verification.phase is Phase.CANCELLED:
            return _ENDED
        if not verification.emoji:
            said = "Your other app has not answered yet. Accept its question, then go on."
            raise BadLogin(said, field="accepted")
        shown = ", ".join(verification.emoji)
        return LoginStep(instructions=f"Compare with your other app: {shown}", fields=(_SAME,))

    async def _compared(self, verification: Verification, *, same: bool) -> str:
        if not same:
            verification.cancel("m.mismatched_sas")
            self._machine.say()
            return f"Then something is between the two. {_ENDED}"
        verification.confirm()
        self._machine.say()
        await _until(verification, lambda: verification.phase is Phase.DONE)
        if verification.phase is not Phase.DONE:
            return _ENDED
        await self._machine.after(verification, _SIGNS_S)
        if not self._machine.is_signed:
            return "The two devices trust each other. Your other app has not signed this one."
        more = ", and it can use your key backup" if self._machine.has_backup else ""
        return f"The gateway's device is verified{more}."


async def _until(verification: Verification, reached: Callable[[], bool]) -> None:
    """Wait until it is that far, or has ended, but not for long."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while not reached() and verification.phase is not Phase.CANCELLED:
                verification.changed.clear()
                await verification.changed.wait()
    except TimeoutError:
        return
