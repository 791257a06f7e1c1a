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
from gateway.text.wording import joined, tr, trn

_RECOVER = LoginOption(value="recover", label=tr("Give my recovery key or passphrase"))
_VERIFY = LoginOption(value="verify", label=tr("Compare emoji with another device of mine"))
_ALL = LoginOption(value="all", label=tr("Write to all devices of the people I talk with"))
_SIGNED = LoginOption(value="signed", label=tr("Write only to devices that their owners verified"))
_KEY = LoginField(name="recovery_key", label=tr("Recovery key or passphrase"), secret=True)
_YES_NO = (LoginOption(value="yes", label=tr("Yes")), LoginOption(value="no", label=tr("No")))
_ACCEPTED = LoginField(name="accepted", label=tr("Does it show emoji now"), options=_YES_NO)
_SAME = LoginField(
    name="same", label=tr("Does it show the same emoji in this order"), options=_YES_NO
)
_PATIENCE_S = 12.0
_SIGNS_S = 12.0
_ENDED = tr("The comparison has ended, and nothing was verified.")


class MatrixEncryptionFlow(EncryptionFlow):
    """First what is to be done, then what that needs."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._verification: Verification | None = None

    def first(self) -> LoginStep:
        trust = self._trust
        signed = (
            tr("You have verified it.")
            if trust.is_signed
            else tr(
                "It is not verified, so some people's apps may not let it read their messages.",
            )
        )
        backup = (
            tr("It looks for missing keys in your backup.")
            if trust.has_backup
            else tr("It cannot use your key backup.")
        )
        policy = _SIGNED if trust.signed_only else _ALL
        return LoginStep(
            instructions=(
                tr(
                    "{end}\nThe session id of the gateway is {device_id}; its key "
                    "is {fingerprint}. {signed} {backup}\nNow: {label}.",
                    end=END,
                    device_id=trust.device_id,
                    fingerprint=trust.fingerprint,
                    signed=signed,
                    backup=backup,
                    label=policy.label,
                )
            ),
            fields=(
                LoginField(
                    name="action",
                    label=tr("What do you want to do"),
                    options=(_RECOVER, _VERIFY, _ALL, _SIGNED),
                ),
            ),
        )

    async def submit(self, answers: Mapping[str, str]) -> LoginStep | str:
        action = answers["action"]
        if "accepted" not in answers:
            self._take_back()
        if action == "recover":
            return await self._recover(answers)
        if action == "verify":
            return await self._verify(answers)
        await self._trust.encrypt_to(signed_only=action == "signed")
        return tr("From now on: {label}.", label=(_SIGNED if action == "signed" else _ALL).label)

    def _take_back(self) -> None:
        """The user has gone back: the other app is not asked any more."""
        if self._verification is not None:
            self._verification.cancel()
            self._trust.say()
            self._verification = None

    async def _recover(self, answers: Mapping[str, str]) -> LoginStep | str:
        if "recovery_key" not in answers:
            said = tr(
                "Your other Matrix apps have shown you a recovery key when you set it up.",
            )
            return LoginStep(instructions=said, fields=(_KEY,))
        opened = await self._trust.recover(answers["recovery_key"])
        if not opened:
            return self._result()
        read = trn(
            "{count} waiting message could be read.",
            "{count} waiting messages could be read.",
            opened,
        )
        return joined((self._result(), read))

    def _result(self) -> str:
        """What has come of it."""
        signed, backup = (
            tr("The gateway's device is not verified."),
            tr("It cannot use your key backup."),
        )
        if self._trust.is_signed:
            signed = tr("The gateway's device is verified.")
        if self._trust.has_backup:
            backup = tr("It can use your key backup.")
        return joined((signed, backup))

    async def _verify(self, answers: Mapping[str, str]) -> LoginStep | str:
        verification = self._verification
        if verification is None:
            made = self._verification = await self._trust.verify()
            said = (
                tr("Your device {id} has asked for it, and can go on now.", id=made.device.id)
                if made.device is not None
                else tr(
                    "Your other Matrix apps ask now whether you want to verify a "
                    "device. Accept that.",
                )
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
            said = tr(
                "Your other app has not answered yet. Accept its question, then go on.",
            )
            raise BadLogin(said, field="accepted")
        shown = ", ".join(verification.emoji)
        return LoginStep(
            instructions=tr("Compare with your other app: {shown}", shown=shown), fields=(_SAME,)
        )

    async def _compared(self, verification: Verification, *, same: bool) -> str:
        if not same:
            verification.cancel("m.mismatched_sas")
            self._trust.say()
            return tr("Then something is between the two. {ended}", ended=_ENDED)
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
