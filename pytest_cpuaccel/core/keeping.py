"""Limits of the memory that is kept from call to call and from test to test."""

from __future__ import annotations

REFERENCES_BYTES = 256 * 10**6
"""The most bytes of eager's answers, in all precisions, that are kept for the next backend's same calls."""

CASTS_BYTES = 10**9
"""The largest copy of a model in another precision that is kept between calls; a larger one is freed after each."""
