# SPDX-License-Identifier: Apache-2.0
"""``dragoman version``."""

import platform

from rich.console import Console
from rich.text import Text

from gateway import __version__


def version() -> None:
    """Print the versions of Dragoman and of Python."""
    Console().print(Text(f"dragoman {__version__} (Python {platform.python_version()})"))
