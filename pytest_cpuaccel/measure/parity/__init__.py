"""How far outputs lie from the reference, and whether that is too far."""
