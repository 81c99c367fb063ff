"""How long calls take, and whether one side is slower than allowed."""
