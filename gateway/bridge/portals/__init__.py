# SPDX-License-Identifier: Apache-2.0
"""Groups that are linked for people without an account; see ``docs/developer/architecture.md``."""
