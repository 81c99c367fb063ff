"""The machine: its CPU, its load, its memory, and the lock that lets one timing run alone on it."""
