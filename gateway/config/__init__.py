# SPDX-License-Identifier: Apache-2.0
"""The configuration: a typed tree, read strictly from one YAML file."""

from gateway.config.load import load_config
from gateway.config.tree import (
    Access,
    Config,
    Delivery,
    Log,
    Network,
    Server,
    Store,
    Xmpp,
)
from gateway.config.values import (
    AccessEntry,
    BareJid,
    Domain,
    Duration,
    Host,
    Size,
)
from gateway.secret import Secret

__all__ = [
    "Access",
    "AccessEntry",
    "BareJid",
    "Config",
    "Delivery",
    "Domain",
    "Duration",
    "Host",
    "Log",
    "Network",
    "Secret",
    "Server",
    "Size",
    "Store",
    "Xmpp",
    "load_config",
]
