# SPDX-License-Identifier: Apache-2.0
"""What a user may ask and decide about encryption."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from adapters.matrix.e2e.trust import Trust
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
_ACCEPTED = LoginField(name="accepted", label="Does it show emoji now", options=_YES_NO)
_SAME = LoginField(name="same", label="Does it show the same emoji in this order", options=_YES_NO)
_PATIENCE_S = 12.0
_SIGNS_S = 12.0
_ENDED = "The comparison has ended, and nothing was verified."


class MatrixEncryptionFlow(EncryptionFlow):
    """First what is to be done, then what that needs."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._verification: Verification | None = None

    def first(self) -> LoginStep:
        trust = self._trust
        signed = (
            "You have verified it."
            if trust.is_signed
            else "It is not verified, so some people's apps may not let it read their messages."
        )
        backup = (
            "It looks for missing keys in your backup."
            if trust.has_backup
            else "It cannot use your key backup."
        )
        policy = _SIGNED if trust.signed_only else _ALL
        return LoginStep(
            instructions=(
                f"{END}\nThe session id of the gateway is {trust.device_id}; its key is "
                f"{trust.fingerprint}. {signed} {backup}\nNow: {policy.label}."
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
        await self._trust.encrypt_to(signed_only=action == "signed")
        return f"From now on: {(_SIGNED if action == 'signed' else _ALL).label}."

    async def _recover(self, answers: Mapping[str, str]) -> LoginStep | str:
        if "recovery_key" not in answers:
            said = "Your other Matrix apps have shown you a recovery key when you set it up."
            return LoginStep(instructions=said, fields=(_KEY,))
        opened = await self._trust.recover(answers["recovery_key"])
        if not opened:
            return self._result()
        messages = "message" if opened == 1 else "messages"
        return f"{self._result()} {opened} waiting {messages} could be read."

    def _result(self) -> str:
        """What has come of it."""
        signed = "is verified" if self._trust.is_signed else "is not verified"
        backup = "can use" if self._trust.has_backup else "cannot use"
        return f"The gateway's device {signed}, and it {backup} your key backup."

    async def _verify(self, answers: Mapping[str, str]) -> LoginStep | str:
        verification = self._verification
        if verification is None:
            made = self._verification = await self._trust.verify()
            said = (
                f"Your device {made.device.id} has asked for it, and can go on now."
                if made.device is not None
                else "Your other Matrix apps ask now whether you want to verify a device. Accept "
                "that."
            )
            return LoginStep(instructions=said, fields=(_ACCEPTED,))
        if "same" in answers:
            return await self._compared(verification, same=answers["same"] == "yes")
        if answers.get("accepted") == "no":
            verification.cancel()
            self._trust.say()
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
            self._trust.say()
            return f"Then something is between the two. {_ENDED}"
        verification.confirm()
        self._trust.say()
        await _until(verification, lambda: verification.phase is Phase.DONE)
        if verification.phase is not Phase.DONE:
            return _ENDED
        await self._trust.after(verification, _SIGNS_S)
        return self._result()


async def _until(verification: Verification, reached: Callable[[], bool]) -> None:
    """Wait until it is that far, or has ended, but not for long."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while not reached() and verification.phase is not Phase.CANCELLED:
                verification.changed.clear()
                await verification.changed.wait()
    except TimeoutError:
        return
