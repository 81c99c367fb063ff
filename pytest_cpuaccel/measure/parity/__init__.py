"""The distance of outputs from the reference."""
