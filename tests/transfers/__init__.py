# SPDX-License-Identifier: Apache-2.0
"""Large files beside many messages: a small homeserver in a process of its own that makes and
checks files of any size while they flow, and the people who send them."""
