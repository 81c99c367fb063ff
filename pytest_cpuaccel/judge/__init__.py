"""Verdicts: pure functions of a measurement and a budget. Nothing here runs a model or reads a clock."""
