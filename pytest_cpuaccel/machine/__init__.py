"""The machine: its CPU, its load, its memory, and the lock that lets one clock run alone on it."""
