# SPDX-License-Identifier: Apache-2.0
"""The fault matrix: every fault, at every real server, in the middle of a burst.

`wire` and `web` stand between the gateway and its servers and spoil what passes. `people` talk,
one pair that is hit and one that must not notice. `act_xmpp`, `act_matrix` and `act_gateway` are
the faults, `cells` is the list of all of them, `judge` counts, and `page` makes
docs/developer/fault-matrix.md of what was counted.
"""
