"""Arithmetic and clocks: parity, latency, accuracy; pure, knowing neither pytest nor any backend."""
