# SPDX-License-Identifier: Apache-2.0
"""Nonsense and near-sense thrown at the gateway: nothing raises, and the stream stays open.

`choices` makes decisions out of bytes, so that hypothesis, atheris and a plain generator drive
the same grammars: `stanzas` and `operations` (a conversation), `syncs` (answers of a homeserver).
`arena` carries a conversation out and `ledger` judges it. One *input* is one stanza, one event of
the network or one other operation; in `syncs`, one answer.
"""
