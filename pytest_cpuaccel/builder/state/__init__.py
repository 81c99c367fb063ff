"""What a model keeps from call to call beside its weights: noted, compared with what it is later, and put back."""
