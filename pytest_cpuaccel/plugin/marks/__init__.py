"""The marks of a test: their names, their arguments, the budgets they become, the backends they narrow it to."""
