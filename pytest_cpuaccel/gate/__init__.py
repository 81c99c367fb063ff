"""The gate: a model that is judged without a test, on inputs made for it."""
