"""Holds recorded calls to their marks."""
