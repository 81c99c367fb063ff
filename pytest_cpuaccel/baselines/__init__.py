"""Baselines: results of earlier runs, kept under names, and their comparison with today's."""
