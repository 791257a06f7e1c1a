# SPDX-License-Identifier: Apache-2.0
"""One account is in trouble, and the others do not notice.

One gateway with two networks and some twenty accounts (`town`), a network whose adapter fails
where and how a test wants (`trouble`). Time passes faster here, but is real: what is measured is
how long the messages of the others take, before and while one account is in trouble.
"""
