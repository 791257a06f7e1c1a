# SPDX-License-Identifier: Apache-2.0
"""The scripted network with questions about encryption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gateway.adapter import (
    AccountContext,
    EncryptionFlow,
    LoginField,
    LoginOption,
    LoginStep,
    Session,
)
from gateway.errors import BadLogin
from tests.scripted.adapter import ScriptedAdapter, ScriptedSession

_WHAT = (LoginOption(value="key", label="Give the key"), LoginOption(value="all", label="Neither"))


class SealedAdapter(ScriptedAdapter):
    """The same network, where one can give a key or not."""

    capabilities = replace(ScriptedAdapter.capabilities, encryption=True)

    def session(self, account: AccountContext) -> Session:
        """A session."""
        return _Sealed(account, self.context.settings.port)


class _Sealed(ScriptedSession):
    def encryption(self) -> EncryptionFlow:
        return _Flow()


class _Flow(EncryptionFlow):
    def first(self) -> LoginStep:
        asked = LoginField(name="action", label="What to do", options=_WHAT)
        return LoginStep(instructions="Nothing is sealed.", fields=(asked,))

    async def submit(self, answers: Mapping[str, str]) -> LoginStep | str:
        if answers["action"] == "all":
            assert answers.keys() == {"action"}, answers
            return "Nothing is sealed still."
        if "key" not in answers:
            asked = LoginField(name="key", label="Key", secret=True)
            return LoginStep(instructions="Where is the key?", fields=(asked,))
        if answers["key"] != "right":
            raise BadLogin("That is no key.", field="key")
        return "All is sealed."
