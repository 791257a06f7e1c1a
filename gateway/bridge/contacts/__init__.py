# SPDX-License-Identifier: Apache-2.0
"""People of the network: who is in the user's list, who sees whom, what is shown of them."""
