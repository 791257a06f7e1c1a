# SPDX-License-Identifier: Apache-2.0
"""One-to-one chats: what is said about what was said, in both directions."""
