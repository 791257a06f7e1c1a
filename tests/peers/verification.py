"""One verification by emoji, as either side of it sees it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from .inbox import Inbox

Step = Literal["accept", "start", "confirm", "mismatch", "cancel"]
Phase = Literal["unsent", "requested", "ready", "started", "cancelled", "done"]


@dataclass(frozen=True)
class VerificationState:
    """What is known of a verification at one moment."""

    number: int
    user_id: str
    device_id: str | None
    room_id: str | None
    by_me: bool
    phase: Phase
    emojis: tuple[tuple[str, str], ...]
    cancel_code: str | None
    error: str | None

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Self:
        """From what the program says; an emoji is a sign and its name."""
        emojis = tuple((sign, name) for sign, name in said["emojis"])
        return cls(**{**said, "emojis": emojis})


class Verification:
    """Asked for by `Element.verify`, or come by `Element.wait_verification`.

    One side asks and the other accepts; then one of them starts, both read the same emojis, and
    both confirm that they do.
    """

    def __init__(
        self,
        number: int,
        states: Inbox[VerificationState],
        step: Callable[[Step], Awaitable[None]],
    ) -> None:
        """Follow the verification with this number."""
        self.number = number
        self._states = states
        self._step = step

    @property
    def state(self) -> VerificationState:
        """What is known of it now."""
        return self._states.find(lambda state: state.number == self.number)[-1]

    async def accept(self) -> None:
        """Agree to it; whose emojis they are is not said by that."""
        await self._step("accept")

    async def start(self) -> None:
        """Choose emojis, when the other side has agreed."""
        await self.wait_phase("ready")
        await self._step("start")

    async def emojis(self, *, timeout: float = 10) -> tuple[tuple[str, str], ...]:
        """The seven emojis, with their names, that the user is to compare."""

        def shown(state: VerificationState) -> bool:
            return state.number == self.number and bool(state.emojis)

        return (await self._states.wait_for(shown, timeout=timeout)).emojis

    async def confirm(self) -> None:
        """Say that the other side shows the same emojis."""
        await self._step("confirm")

    async def mismatch(self) -> None:
        """Say that it shows others, which ends it on both sides."""
        await self._step("mismatch")

    async def cancel(self) -> None:
        """End it."""
        await self._step("cancel")

    async def wait_phase(self, phase: Phase, *, timeout: float = 10) -> VerificationState:
        """Its state when it is requested, ready, started, done or cancelled."""

        def in_phase(state: VerificationState) -> bool:
            return (state.number, state.phase) == (self.number, phase)

        return await self._states.wait_for(in_phase, timeout=timeout)
