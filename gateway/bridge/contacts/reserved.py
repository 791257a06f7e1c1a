# SPDX-License-Identifier: Apache-2.0
"""Names by which nobody on the network is called here, for they would be taken for the gateway, or
for those who run it (REQ-269, REQ-708)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

_ALIKE = (
    str.maketrans("авгекмнорстухіјѕԁһӏԛԝ", "abrekmhopctyxljsdhlqw")
    | str.maketrans("αβγεηικμνορτυχω", "abyenlkmvoptuxw")
    | str.maketrans("01i\u01315", "ollls")
)
"""Of Cyrillic and Greek letters and of figures: the Latin ones that look like them, all small; and
i, which is l when it is a capital. UTS #39 has many more, in scripts that nobody mixes in."""
_TOGETHER = (("rn", "m"), ("vv", "w"))


_CACHED = 16_384
"""As many as the members of large rooms, all of whom are looked at when somebody comes by XMPP."""


@lru_cache(maxsize=_CACHED)
def look(name: str) -> str:
    """What eyes take a name for: equal for names that look alike. Empty if nothing is left."""
    plain = name.casefold()
    if not name.isascii():
        plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    seen = "".join(filter(str.isalnum, plain)).translate(_ALIKE)
    for letters, alike in _TOGETHER:
        seen = seen.replace(letters, alike)
    return seen


@dataclass(frozen=True, slots=True)
class Reserved:
    """Of one network, each as it looks."""

    gateway: frozenset[str] = frozenset()
    admins: frozenset[str] = frozenset()

    @classmethod
    def of(cls, gateway: Iterable[str], admins: Iterable[str]) -> Reserved:
        """By what these are called."""
        ours, theirs = (frozenset(filter(None, map(look, names))) for names in (gateway, admins))
        return cls(ours, theirs)

    def is_gateways(self, name: str) -> bool:
        """Whether it would be taken for that of the gateway."""
        return look(name) in self.gateway

    def is_ours(self, name: str) -> bool:
        """The same, or for that of an admin."""
        return self.is_gateways(name) or look(name) in self.admins
