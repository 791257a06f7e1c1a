# SPDX-License-Identifier: Apache-2.0
"""Users come and go, for a long time: does memory stay flat, is anything left behind?

`python -m tests.soak --minutes 60 --report DIRECTORY` runs it by hand, `make soak` for an hour.
`process` is the gateway with a probe, `people` are its users, `world` is all that it runs on.
"""
