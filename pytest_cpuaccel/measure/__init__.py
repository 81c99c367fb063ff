"""Measurements of parity, latency, accuracy, memory and start-up; they know neither pytest nor any backend."""
