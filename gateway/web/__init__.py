# SPDX-License-Identifier: Apache-2.0
"""The HTTP side: pages for people, behind the admin's own web server.

`server.py` listens and sees to what all answers have in common, `login.py` has the one-time pages,
`html.py` writes markup, and `reached.py` looks whether people can get here at all.
"""
