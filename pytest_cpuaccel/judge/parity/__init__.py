"""The parity verdict: what was measured of outputs, held to a budget."""
