"""What a person sees in a chat window."""

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Line:
    """One message, as one side's client shows it."""

    id: str
    text: str
    mine: bool
    """Written by the person who looks at it."""
    at: float = field(default_factory=time.time)
    receipt: bool = False
    """Mine: the other network has it. Theirs: it is here."""
    read: bool = False
    """The one who got it has read it."""


def mark_read(lines: list[Line], up_to: str, *, mine: bool) -> None:
    """A read mark covers everything before it, too."""
    for position, line in enumerate(lines):
        if line.id == up_to:
            for earlier in lines[: position + 1]:
                if earlier.mine == mine:
                    earlier.read = True
