# SPDX-License-Identifier: Apache-2.0
"""The contract: what the author of a network implements, and what the gateway hands to them.

How to write an adapter
=======================

1. Make a package with a class derived from `Adapter`, and name it in the entry-point group
   ``dragoman.adapters``. Import from the gateway only ``gateway.adapter``, ``gateway.events``,
   ``gateway.ids``, ``gateway.errors`` and ``gateway.text``; everything else comes through the
   context objects below.
2. Implement `Adapter` (one object per configured network), `LoginFlow` (the questions that link an
   account) and `Session` (the live connection of one account).
3. Run the contract suite on it (``docs/developer/adapters.md``).

The files of this package, in the order in which an author reads them; all names are imported from
``gateway.adapter``:

===================  ===========================================================================
``adapter.py``       `Adapter`: addresses, settings; makes the other two
``capabilities.py``  `Capabilities`: what the network offers
``login.py``         `LoginFlow`, `EncryptionFlow`: the questions to users
``session.py``       `Session`: hands over events, carries out commands
``files.py``         `Download`, `Upload`: a file while it flows
``context.py``       `NetworkContext`, `AccountContext`: what the gateway offers in return
``addresses.py``     `public_connector`: for connections to hosts that users have chosen
===================  ===========================================================================

What the gateway promises to an adapter
---------------------------------------

* One `Session` object at a time per account. ``run`` is called once per object; when it raises,
  the gateway waits (2 s to 10 min, with jitter) and makes a new object.
* An exception of a session costs that attempt only. Other accounts do not notice.
* A session that is over has no say: its `AccountContext` takes nothing more.
* ``send`` is called for one command of a conversation at a time, in order; commands of different
  conversations overlap. A command that failed with `Transient` comes again **with the same key**.
* The clock is ``context.clock``: tests move it, so no adapter calls ``time.time`` or
  ``asyncio.sleep`` for longer than a scheduling turn.

What an adapter promises to the gateway
---------------------------------------

* **Nothing is acknowledged before it is durable.** Events go to `AccountContext.commit` together
  with the cursor that follows them; only when that returns may the network forget them.
* Events may be handed over again: the gateway knows them by their remote id.
* Every failure is one of the `gateway.errors.AdapterError` tree, with a sentence for the user.
* Contents, tokens and phone numbers are never logged.
"""

from __future__ import annotations

from gateway.adapter.adapter import Adapter, NoSettings
from gateway.adapter.addresses import (
    PrivateAddress,
    is_local,
    is_loopback,
    named_connector,
    public_connector,
)
from gateway.adapter.capabilities import AUTHOR_BYTES, Capabilities
from gateway.adapter.context import AccountContext, Clock, Logger, NetworkContext
from gateway.adapter.files import Download, Thumbnail, Upload
from gateway.adapter.login import (
    EncryptionFlow,
    Linked,
    LoginField,
    LoginFlow,
    LoginOption,
    LoginStep,
    Relogin,
)
from gateway.adapter.session import (
    Contact,
    HistoryPage,
    ListedContact,
    Muted,
    OwnPicture,
    Poll,
    Sent,
    Session,
)
from gateway.secret import Secret

__all__ = [
    "AUTHOR_BYTES",
    "AccountContext",
    "Adapter",
    "Capabilities",
    "Clock",
    "Contact",
    "Download",
    "EncryptionFlow",
    "HistoryPage",
    "Linked",
    "ListedContact",
    "Logger",
    "LoginField",
    "LoginFlow",
    "LoginOption",
    "LoginStep",
    "Muted",
    "NetworkContext",
    "NoSettings",
    "OwnPicture",
    "Poll",
    "PrivateAddress",
    "Relogin",
    "Secret",
    "Sent",
    "Session",
    "Thumbnail",
    "Upload",
    "is_local",
    "is_loopback",
    "named_connector",
    "public_connector",
]
