"""Tiny models of many architectures, with random weights and the inputs that they take."""
