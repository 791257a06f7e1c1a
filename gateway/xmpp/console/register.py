# SPDX-License-Identifier: Apache-2.0
"""In-band registration (XEP-0077): the face for clients that know one form and no more.

The login is stored and answered for, then carried out; what becomes of it is told by a message
and by the presence of the gateway (REQ-205 to REQ-209, REQ-212).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from gateway.adapter import Clock, LoginStep
from gateway.bridge.accounts import Account
from gateway.bridge.network import Network
from gateway.errors import AccountGone, AdapterError, SecretUnreadable, StoreUnavailable
from gateway.ids import UserJid
from gateway.locale import spoken
from gateway.store.accounts import AccountStatus
from gateway.tasks import within
from gateway.text.wording import joined, tr
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.xml import speaking, text
from gateway.xmpp.console import forms
from gateway.xmpp.console.commands.login import TOO_MANY
from gateway.xmpp.console.logins import field_of
from gateway.xmpp.console.model import BadAnswer, Field, Form, Kind
from gateway.xmpp.jid import split
from gateway.xmpp.limits import TOO_MANY_GUESTS, Standing

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

NS = "jabber:iq:register"
_Q = f"{{{NS}}}"
_LEGACY = ("username", "nick", "password", "name", "email", "phone", "url")
"""Names of fields that old clients know (XEP-0077 §14.1), as far as logins may have them."""
_USER = "username"
_HOLD_S = 20.0
"""For which a removal may wait for the network; it goes on after that."""
_OF_STRANGERS = 1_000
"""When so many wait to be carried out, no more of strangers are taken (REQ-712)."""
_HOW = tr(
    "What becomes of it is told by a message. Messages are not encrypted "
    "inside the gateway: its admin could read them.",
)


class Registration:
    """In-band registration at one component."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._network: Network = component.network
        self._clock: Clock = component.network.adapter.context.clock

    # --- asking ---------------------------------------------------------------------------------

    def get(self, sender: str) -> str:
        """The form. Raises `Refused`."""
        user = split(sender).bare
        account = self._network.accounts.of(user)
        if account is None and not self._component.access.permits(user):
            raise Refused(errors.NOT_ALLOWED, self._component.not_admitted(user))
        if account is None:  # after the answer: strangers get one stanza for theirs (REQ-717)
            asyncio.get_running_loop().call_soon(self._component.console.welcome.welcome, user)
        form, values = self._form(user, account)
        language = self._component.language_of(user)
        form = spoken(form, language)
        known = account is not None or self._network.registrations.of(user) is not None
        registered = "<registered/>" if known else ""
        legacy = "".join(
            f"<{field.name}>{text(_shown(field, values))}</{field.name}>"
            for field in form.fields
            if field.name in _LEGACY
        )
        return (
            f"<query xmlns='{NS}'{speaking(language)}>{registered}"
            f"<instructions>{text(form.instructions)}</instructions>{legacy}"
            f"{forms.form(form, values)}{self._page(user, account)}</query>"
        )

    def _page(self, user: UserJid, account: Account | None) -> str:
        """XEP-0077 §5: where to log in by a browser, if there is a point in it. Clients ask for
        the form by themselves, which must not end a page in use, nor one that is looked at."""
        is_linked = account is not None and account.status is AccountStatus.LINKED
        has_none = is_linked or self._component.logs_in_on_page(user)
        page = None if has_none else self._component.page_of(user, is_asked=False)
        return f"<x xmlns='jabber:x:oob'><url>{text(page.address)}</url></x>" if page else ""

    def _form(self, user: UserJid, account: Account | None) -> tuple[Form, Mapping[str, str]]:
        """What is asked, and what is known of it."""
        try:
            step: LoginStep = self._network.logins.login(user).at_once()
        except AdapterError as error:  # the adapter has not started
            raise Refused(errors.REMOTE_TIMEOUT, error.text) from None
        fields = tuple(map(field_of, step.fields))
        said = step.instructions
        values: dict[str, str] = {}
        if account is not None:
            # Who they are, to be seen; a new secret, to be given or not (REQ-206).
            name = Field(name=_USER, label=tr("Linked as"), required=False)
            fields = (
                name,
                *(replace(field, required=False) for field in fields if field.name != _USER),
            )
            values[_USER] = account.remote_id
            said = tr(
                "You are linked as {remote_id}. Leave empty what shall stay as it is.",
                remote_id=account.remote_id,
            )
        pending = self._network.registrations.of(user)
        if pending is not None:
            values |= pending.answers
        consent = self._component.told_of_consent(user) if account is None else ""
        return (
            Form(
                title=tr(
                    "Link your {display_name} account",
                    display_name=self._network.adapter.display_name,
                ),
                instructions=joined((said, _HOW, consent)),
                fields=fields,
                form_type=NS,
            ),
            values,
        )

    # --- answering ------------------------------------------------------------------------------

    async def set(self, sender: str, query: Element) -> str:
        """Take a registration, or end one. Raises `Refused`."""
        user = split(sender).bare
        if query.find(f"{_Q}remove") is not None:
            if len(query) != 1:
                raise Refused(
                    errors.BAD_REQUEST, tr("To remove an account is all one can do at once.")
                )
            return await self._remove(user)
        if not self._component.access.permits(user):
            raise Refused(errors.NOT_ALLOWED, self._component.not_admitted(user))
        account = self._network.accounts.of(user)
        form, _ = self._form(user, account)
        submitted = self._submitted(query, form)
        if submitted is None:
            return ""
        try:
            answers = forms.checked(form, submitted)
        except BadAnswer as error:
            raise Refused(errors.NOT_ACCEPTABLE, str(error)) from None
        if account is not None and not self._renews(account, form, answers):
            return ""
        if not self._component.may_log_in(user):
            raise Refused(errors.RESOURCE_CONSTRAINT, TOO_MANY)
        waiting = len(self._network.registrations)
        if waiting >= _OF_STRANGERS and self._component.standing(user).is_strange:
            raise Refused(errors.RESOURCE_CONSTRAINT, TOO_MANY_GUESTS)
        await self._store(user, answers)
        return ""

    def _submitted(self, query: Element, form: Form) -> Mapping[str, str] | None:
        """What was filled in, in either way or both; None if the user does not want to."""
        found = forms.find(query)
        if len(found) > 1 or any(one.type not in ("submit", "cancel") for one in found):
            raise Refused(errors.BAD_REQUEST, tr("One submitted form is expected."))
        if found and found[0].type == "cancel":
            return None
        names = {field.name for field in form.fields}
        legacy = {
            name: query.findtext(f"{_Q}{name}") or ""
            for name in _LEGACY
            if name in names and query.find(f"{_Q}{name}") is not None
        }
        values = dict(found[0].values) if found else {}
        if any(said != values.get(name, said) for name, said in legacy.items()):
            raise Refused(errors.BAD_REQUEST, tr("The form and the other fields disagree."))
        return {**legacy, **values}

    def _renews(self, account: Account, form: Form, answers: dict[str, str]) -> bool:
        """Whether there is a new secret for an account, which stays the same identity."""
        name = answers.pop(_USER, "")
        meant = name and self._network.addresses.parse(name)
        if name and account.remote_id not in (name, meant):
            said = tr(
                "You are linked as {remote_id}. Unregister first to change that.",
                remote_id=account.remote_id,
            )
            raise Refused(errors.NOT_ALLOWED, said)
        secrets = [field.name for field in form.fields if field.kind is Kind.SECRET]
        return any(answers.get(secret) for secret in secrets)

    async def _store(self, user: UserJid, answers: Mapping[str, str]) -> None:
        try:
            with _storing():
                await self._network.registrations.add(user, answers)
        except SecretUnreadable as error:
            raise Refused(errors.INTERNAL, str(error)) from None

    # --- leaving (REQ-209) ----------------------------------------------------------------------

    async def _remove(self, user: UserJid) -> str:
        network = self._network
        if network.accounts.of(user) is None:
            with _storing():
                if await network.registrations.withdraw(user):
                    return ""
        account = network.accounts.of(user) or network.accounts.virtual(user)
        if account is None:
            raise Refused(errors.REGISTRATION_REQUIRED, tr("You have no account here."))
        # Whoever leaves is told all of it, also if they are no longer admitted.
        self._component.limits.heard(user, Standing.KNOWN)
        erasing = self._component.tasks.spawn(self._network.logins.erase(account), "unregister")
        try:
            with _storing():
                _, say_goodbye = await within(self._clock, _HOLD_S, asyncio.shield(erasing))
        except TimeoutError:
            erasing.add_done_callback(_say_goodbye)
            said = tr("The network does not answer. The gateway goes on with it.")
            raise Refused(errors.REMOTE_TIMEOUT, said) from None
        except AccountGone as error:
            raise Refused(errors.REGISTRATION_REQUIRED, str(error)) from None
        # After the answer, which is written as soon as this returns.
        asyncio.get_running_loop().call_soon(say_goodbye)
        return ""


@contextmanager
def _storing() -> Iterator[None]:
    """The disk may be full."""
    try:
        yield
    except StoreUnavailable:
        said = tr(
            "The gateway cannot store anything at the moment. Please try again later.",
        )
        raise Refused(errors.RESOURCE_CONSTRAINT, said) from None


def _say_goodbye(erasing: asyncio.Task[tuple[str, Callable[[], None]]]) -> None:
    if not erasing.cancelled() and erasing.exception() is None:
        erasing.result()[1]()


def _shown(field: Field, values: Mapping[str, str]) -> str:
    return "" if field.kind is Kind.SECRET else values.get(field.name, "")
