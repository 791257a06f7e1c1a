# SPDX-License-Identifier: Apache-2.0
"""Linking an account, by password or with an access token.

First the homeserver, which is checked before anything secret is asked for; then the secret.
Matrix spec, client-server API, "Client Authentication". matrix-nio builds the request and checks
the answer; the bytes go through our own client, which knows the guard and all limits.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import aiohttp
import msgspec

from adapters.matrix.discovery import base_url_of, is_homeserver
from adapters.matrix.errors import code_of, status_of
from adapters.matrix.guard import checked_url
from adapters.matrix.http import KIB, Api, Fetched, fetch
from adapters.matrix.ids import is_server_name, split_user_id
from adapters.matrix.settings import END, MatrixSettings
from gateway.adapter import Linked, LoginField, LoginFlow, LoginOption, LoginStep, Relogin
from gateway.errors import (
    AdapterError,
    AuthExpired,
    BadLogin,
    Forbidden,
    RateLimited,
    Transient,
    Unsupported,
)
from gateway.ids import RemoteUserId
from gateway.text.wording import tr

DEVICE_NAME = "Dragoman"
_PASSWORD = LoginField(name="password", label=tr("Password"), secret=True)
_USERNAME = LoginField(name="username", label=tr("User name"), hint=tr("bob, or @bob:example.org"))
_TOKEN = LoginOption(value="token", label=tr("With an access token"))
_METHOD = LoginField(
    name="method",
    label=tr("How do you want to log in"),
    options=(LoginOption(value="password", label=tr("With my password")), _TOKEN),
    default="password",
)
_LOGIN_S = 22
_LOG_OUT_S = 3
_PROOF_S = 4
"""Together less than the 30 s that a dialogue may take."""


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a session needs: the secret of an account."""

    homeserver: str
    user_id: str
    device_id: str
    access_token: str

    def __repr__(self) -> str:
        """Without the token: this may come into a log or a traceback."""
        return f"Credentials({self.user_id!r} at {self.homeserver!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Likewise."""
        return [("user_id", self.user_id), ("homeserver", self.homeserver)]

    def encoded(self) -> bytes:
        """As stored."""
        return msgspec.json.encode(self)

    @staticmethod
    def decoded(secret: bytes) -> Credentials:
        """Inverse of `encoded`. Raises `msgspec.MsgspecError`."""
        return msgspec.json.decode(secret, type=Credentials)


class MatrixLogin(LoginFlow):
    """Homeserver and method, then what the method needs."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        settings: MatrixSettings,
        again: Relogin | None = None,
    ) -> None:
        self._http = http
        self._settings = settings
        self._again = again
        self._checked: dict[str, tuple[str, bool]] = {}
        """Homeservers that were found to be some: base URL, and whether they take passwords."""

    def first(self) -> LoginStep:
        if self._again is not None:
            said = tr("Log in to {remote_id} again.", remote_id=self._again.remote_id)
            return LoginStep(instructions=said, fields=(_METHOD,))
        return LoginStep(
            instructions=tr("Link your Matrix account. First, where is it?"),
            fields=(self._homeserver_field(required=True), _METHOD),
        )

    def at_once(self) -> LoginStep:
        if self._again is not None:
            said = tr("Log in to {remote_id} again.", remote_id=self._again.remote_id)
            return LoginStep(instructions=said, fields=(_PASSWORD,))
        return LoginStep(
            instructions=tr("Enter your Matrix account."),
            fields=(self._homeserver_field(required=False), _USERNAME, _PASSWORD),
        )

    def _homeserver_field(self, *, required: bool) -> LoginField:
        return LoginField(
            name="homeserver",
            label=tr("Homeserver"),
            hint=tr("A server name such as example.org, or the homeserver's URL."),
            default=self._settings.default_homeserver,
            required=required,
        )

    async def submit(self, answers: Mapping[str, str]) -> LoginStep | Linked:
        """Find the homeserver; if there is a secret, log in and have it confirm who we are."""
        typed = self._homeserver(answers)
        try:
            async with asyncio.timeout(_LOGIN_S):
                base, takes_passwords = await self._find(typed)
                if "token" in answers:
                    credentials = await self._take_token(base, answers["token"].strip())
                elif not takes_passwords and answers.get("method") != _TOKEN.value:
                    raise BadLogin(
                        tr(
                            "{typed} does not offer login by password, only in a "
                            "web browser. That is not supported yet, but an "
                            "access token works.",
                            typed=typed,
                        ),
                        field="method",
                    )
                elif "password" in answers:
                    credentials = await self._log_in(base, *self._user_and_password(answers))
                else:
                    return self._second(answers, typed)
        except TimeoutError as error:
            raise Transient(
                tr("{typed} did not answer in time. Please try again.", typed=typed)
            ) from error
        return Linked(
            realm=await self._realm(credentials),
            remote_id=RemoteUserId(credentials.user_id),
            secret=credentials.encoded(),
            note=END if self._settings.encrypts else "",
            ours="token" not in answers,
        )

    def _second(self, answers: Mapping[str, str], typed: str) -> LoginStep:
        whose = (
            self._again.remote_id
            if self._again is not None
            else tr("your account on {typed}", typed=typed)
        )
        if answers.get("method") == _TOKEN.value:
            return LoginStep(
                instructions=(
                    tr(
                        "Enter an access token of {whose}. The gateway then uses "
                        "that session, and ends it when you log out here: take a "
                        "token that no other app uses.",
                        whose=whose,
                    )
                ),
                fields=(LoginField(name="token", label=tr("Access token"), secret=True),),
            )
        if self._again is not None:
            return LoginStep(
                instructions=tr("Enter the password of {whose}.", whose=whose), fields=(_PASSWORD,)
            )
        # Many people know their whole id, and give that for the homeserver.
        said = answers.get("homeserver", "").strip()
        username = replace(_USERNAME, default=said if split_user_id(said) else "")
        return LoginStep(
            instructions=tr("Enter {whose}.", whose=whose), fields=(username, _PASSWORD)
        )

    def _user_and_password(self, answers: Mapping[str, str]) -> tuple[str, str]:
        user = self._again.remote_id if self._again is not None else answers.get("username", "")
        password = answers.get("password", "")
        if not user.strip():
            raise BadLogin(tr("Please enter your user name."), field="username")
        if not password:
            raise BadLogin(tr("Please enter your password."), field="password")
        return user.strip(), password

    async def _find(self, typed: str) -> tuple[str, bool]:
        """The homeserver's base URL, and whether it takes passwords."""
        if typed not in self._checked:
            base = await self._base_url(typed)
            if self._again is not None:
                self._check_allowed(typed, base)
            self._checked[typed] = base, await self._validate(base, typed)
        return self._checked[typed]

    async def _realm(self, credentials: Credentials) -> str:
        """In which the user id is unique: the server name in it if that server agrees, so that
        the realm stays the same when the homeserver gets another URL.

        A homeserver says of itself who its users are, and anybody can run one: it must not be
        able to claim the users of another. So the server name counts only if whoever owns that
        name leads from there to this base URL (by its well-known URI or, without one, by being
        the base URL). Everybody else has their base URL as a realm of their own.
        """
        parts = split_user_id(credentials.user_id)
        name = parts[1].lower() if parts else ""
        with suppress(AdapterError, TimeoutError):
            async with asyncio.timeout(_PROOF_S):
                if await self._base_url(name) == credentials.homeserver:
                    return name
        return credentials.homeserver

    def _homeserver(self, answers: Mapping[str, str]) -> str:
        """What the user means by the homeserver, in one spelling; checked against the list."""
        if self._again is not None:
            return self._again.realm
        parts = split_user_id(answers.get("username", "").strip())
        typed = answers.get("homeserver", "").strip().rstrip("/") or (parts[1] if parts else "")
        typed = (typed or self._settings.default_homeserver).strip().rstrip("/")
        in_full = split_user_id(typed)
        typed = in_full[1] if in_full else typed
        if not typed:
            raise BadLogin(
                tr("Please enter your homeserver, such as example.org"), field="homeserver"
            )
        self._check_allowed(typed)
        return typed

    def _check_allowed(self, *spellings: str) -> None:
        allowed = {
            entry.strip().rstrip("/").lower() for entry in self._settings.allowed_homeservers
        }
        if allowed and not any(spelling.lower() in allowed for spelling in spellings):
            raise Forbidden(
                tr(
                    "The admin of this gateway allows only these homeservers: {names}",
                    names=", ".join(sorted(allowed)),
                )
            )

    async def _base_url(self, typed: str) -> str:
        check_url = partial(checked_url, settings=self._settings)
        if "://" in typed:
            return check_url(typed)
        name = typed.lower()
        if not is_server_name(name):
            raise BadLogin(
                tr(
                    "{typed} is not the name of a homeserver. An example: example.org",
                    typed=typed[:100],
                ),
                field="homeserver",
            )
        return await base_url_of(name, self._fetch, check_url)

    async def _fetch(self, url: str) -> Fetched:
        return await fetch(self._http, "GET", url, timeout_s=8, limit=64 * KIB)

    async def _validate(self, base: str, typed: str) -> bool:
        """Spec: a base URL is that of a homeserver if it tells its versions.

        Returns whether it takes passwords.
        """
        api = Api(self._http, base)
        try:
            good = is_homeserver(await api.versions())
        except Forbidden as error:
            if status_of(error) is None:
                raise
            good = False
        except RateLimited:
            raise
        except AdapterError as error:
            if status_of(error) is None or (status_of(error) or 0) >= 500:
                raise BadLogin(
                    tr("{text} Is that your homeserver?", text=error.text), field="homeserver"
                ) from error
            good = False
        if not good:
            raise BadLogin(
                tr(
                    "{typed} is not a Matrix homeserver. Please check the name, "
                    "or enter the homeserver's URL.",
                    typed=typed,
                ),
                field="homeserver",
            )
        flows = (await api.get("login")).get("flows")
        return "m.login.password" in [flow.get("type") for flow in _dicts(flows)]

    async def _take_token(self, base: str, token: str) -> Credentials:
        """A session that the user has made elsewhere."""
        if not token or not token.isascii() or not token.isprintable():
            raise BadLogin(tr("This is not an access token."), field="token")
        try:
            owner = await Api(self._http, base, token).get("account", "whoami")
        except (AuthExpired, Forbidden) as error:
            if status_of(error) is None:
                raise
            raise BadLogin(
                tr("The homeserver does not accept this access token."), field="token"
            ) from error
        user_id, device = owner.get("user_id"), owner.get("device_id")
        if not isinstance(user_id, str) or split_user_id(user_id) is None:
            raise Transient(tr("The homeserver does not say whose access token this is."))
        if self._again is not None and user_id != self._again.remote_id:
            said = tr(
                "This access token is that of {user_id}, not of {remote_id}.",
                user_id=user_id,
                remote_id=self._again.remote_id,
            )
            raise BadLogin(said, field="token")
        return Credentials(
            homeserver=base,
            user_id=user_id,
            device_id=device if isinstance(device, str) else "",
            access_token=token,
        )

    async def _log_in(self, base: str, user: str, password: str) -> Credentials:
        nio = await _nio()
        request = nio.Api.login(user, password=password, device_name=DEVICE_NAME)
        try:
            answer = await Api(self._http, base).raw(*request)
        except AdapterError as error:
            raise _login_error(error) from error
        response = nio.LoginResponse.from_dict(answer)
        if not isinstance(response, nio.LoginResponse):
            raise Transient(tr("The homeserver's answer to the login cannot be understood."))
        credentials = Credentials(
            homeserver=base,
            user_id=response.user_id,
            device_id=response.device_id,
            access_token=response.access_token,
        )
        await self._verify(credentials)
        return credentials

    async def _verify(self, credentials: Credentials) -> None:
        """The token works, and belongs to whom the answer said."""
        api = Api(self._http, credentials.homeserver, credentials.access_token)
        try:
            whoami = (await api.get("account", "whoami")).get("user_id")
            if whoami != credentials.user_id or split_user_id(credentials.user_id) is None:
                raise Transient(tr("The homeserver contradicts itself about who has logged in."))
        except BaseException:
            with suppress(AdapterError, TimeoutError):
                async with asyncio.timeout(_LOG_OUT_S):
                    await api.post("logout")
            raise


def _login_error(error: AdapterError) -> AdapterError:
    """A refused password is a wrong answer, not a lack of rights."""
    code = code_of(error)
    if code == "M_INVALID_USERNAME":
        return BadLogin(tr("This is not a user name of Matrix."), field="username")
    if isinstance(error, Forbidden) and code in ("M_FORBIDDEN", "M_UNAUTHORIZED"):
        return BadLogin(
            tr("The homeserver does not accept this user name and password."), field="password"
        )
    if isinstance(error, Unsupported) and code != "M_UNRECOGNIZED":
        return BadLogin(error.text)
    return error


async def _nio() -> Any:
    """matrix-nio, imported in a thread since that takes a third of a second. It logs contents."""
    logging.getLogger("nio").setLevel(logging.CRITICAL + 1)
    return await asyncio.to_thread(importlib.import_module, "nio")


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
