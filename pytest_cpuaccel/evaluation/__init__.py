"""One test evaluated: its models built and run, measured, diagnosed and judged."""
