"""The marks of a test: names, arguments, budgets, and the choice of backends."""
