# SPDX-License-Identifier: Apache-2.0
"""Groups of the network as rooms: who is in them, which sessions have joined, what is said."""
