# SPDX-License-Identifier: Apache-2.0
"""The lines of scripts, by whom they are about."""
