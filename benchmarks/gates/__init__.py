"""A bench of latency gates: how often each is wrong, how much it catches, and how long it takes, on real callables."""
