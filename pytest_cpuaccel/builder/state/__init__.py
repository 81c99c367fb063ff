"""The state that a model keeps from call to call beside its weights: noted, compared later, and restored."""
