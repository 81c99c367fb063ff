"""What a wrong answer comes from, or looks as if it came from."""
