# SPDX-License-Identifier: Apache-2.0
"""End-to-end encryption: the gateway is a device of the user's account.

Matrix spec, client-server API, "End-to-End Encryption", on vodozemac (Olm and Megolm). Nothing
here begins on its own: `machine.Machine` is given what came by /sync and what is to be sent. Its
keys are in the account's sealed store (`adapters.matrix.secrets`), committed with the events.

=============  ================================================================================
`own`          our device: identity, one-time keys, fallback key
`people`       the devices of others, and whom they are signed by
`olm`          device to device
`megolm`       keys of rooms that others gave us, and decryption with them
`sharing`      keys of rooms that we made, who has them, and encryption with them
`requests`     asking for keys that did not come
`waiting`      events that cannot be read yet; `restoring` looks for their keys in the backup
`backup`       keys that the user's other clients have left at the homeserver
`trust`        who trusts our device: recovery key (`secret_storage`, `identity`), `verification`
`keyserver`    what the homeserver does with keys
`machine`      all of it, as the session uses it
=============  ================================================================================

What is remembered only as long as the process lives: the room keys that we send with, and which
Olm sessions may be sent with. A database that was restored from a copy would otherwise encrypt
other words with keys that were used already.
"""
