"""Baselines: what an earlier run found, kept under a name, and what changed since."""
