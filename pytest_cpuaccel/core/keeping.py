"""How much is kept in memory from call to call and from test to test."""

from __future__ import annotations

REFERENCES_BYTES = 256 * 10**6
"""Eager's answers, in all precisions: the same calls come again under the next backend."""

CASTS_BYTES = 10**9
"""A copy of the model in another precision, for further calls of a test; a larger one is freed after each call."""
