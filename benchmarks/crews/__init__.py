"""Races of two environments by several processes a side: how often their verdicts are right."""
