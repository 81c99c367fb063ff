"""Limits of the memory that is kept from call to call and from test to test."""

from __future__ import annotations

REFERENCES_BYTES = 256 * 10**6
"""Bytes of eager's answers, in all precisions; the next backend needs the answers to the same calls."""

CASTS_BYTES = 10**9
"""Bytes of a model's copy in another precision, kept for a test's next calls; a larger one is freed after each call."""
