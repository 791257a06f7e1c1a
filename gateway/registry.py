# SPDX-License-Identifier: Apache-2.0
"""Adapters by name, and the proof that our two top-level packages are really ours.

Adapters, those of this repository too, are found through the entry-point group
``dragoman.adapters``; nothing is imported before it is asked for.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from importlib.resources import files
from typing import TYPE_CHECKING, TypeAlias, cast

import msgspec

from gateway import locale
from gateway.errors import GatewayError
from gateway.tasks import contained_now

if TYPE_CHECKING:
    from gateway.adapter import Adapter

GROUP = "dragoman.adapters"

Adapters: TypeAlias = Mapping[str, Callable[[], object]]
"""Name of an adapter → what imports it and returns its class."""


class UnknownAdapter(GatewayError):
    """No installed adapter has this name."""


class BrokenAdapter(GatewayError):
    """The adapter is installed but cannot be used. The message says what to do."""


class ForeignPackage(GatewayError):
    """The imported ``gateway`` or ``adapters`` is another project's package of that name."""


def installed() -> Adapters:
    """The adapters that installed distributions offer. Imports none of them."""
    return {point.name: point.load for point in entry_points(group=GROUP)}


def adapter_class(name: str, adapters: Adapters | None = None) -> type[Adapter]:
    """Import the adapter called ``name``, from ``adapters`` or else from what is installed.

    Raises `UnknownAdapter`, or `BrokenAdapter` when a library that it needs is missing or when the
    entry point leads to something that is no adapter.
    """
    load = (installed() if adapters is None else adapters).get(name)
    if load is None:
        raise UnknownAdapter(f'there is no adapter "{name}"')
    try:
        found = contained_now(load)
    except Exception as error:  # importing runs code that is not ours
        raise BrokenAdapter(
            f'the adapter "{name}" cannot be loaded ({error}); '
            f'install what it needs, from the checkout: pip install ".[{name}]"'
        ) from error
    if not _has_settings_type(found):
        raise BrokenAdapter(f'the entry point of "{name}" does not lead to an adapter class')
    package = _package(found)
    try:
        if package:
            locale.add(files(package) / "locale")
    except Exception as error:  # Babel raises much
        raise BrokenAdapter(f'the translations of "{name}" cannot be read ({error})') from error
    return cast("type[Adapter]", found)


def _package(found: object) -> str:
    """In which an adapter is; empty if it is a module of its own, which has no catalogues."""
    return sys.modules[cast("type[Adapter]", found).__module__].__package__ or ""


def _has_settings_type(found: object) -> bool:
    settings_type = getattr(found, "settings_type", None)
    return isinstance(settings_type, type) and issubclass(settings_type, msgspec.Struct)


def refuse_foreign_packages() -> None:
    """Check that ``gateway`` and ``adapters`` are the packages of this distribution.

    Both names exist elsewhere on the package index, and whichever was installed last, or stands
    first on the path, wins. Raises `ForeignPackage` with a sentence that names the culprit.
    """
    for name in ("gateway", "adapters"):
        try:
            package = importlib.import_module(name)
        except ImportError as error:
            raise ForeignPackage(
                f'the package "{name}" of Dragoman is missing ({error}); install Dragoman again'
            ) from error
        if getattr(package, "__dragoman__", False) is not True:
            place = getattr(package, "__file__", None) or "a directory without __init__.py"
            raise ForeignPackage(
                f'the package "{name}" that Python found is not part of Dragoman ({place}); '
                "install Dragoman in a virtual environment of its own"
            )
