"""Measurements, one file a kind: frozen values that know no budget."""
