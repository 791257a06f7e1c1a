# SPDX-License-Identifier: Apache-2.0
"""The heart: accounts, sessions, chats and their delivery. Knows neither XML nor any network."""
