"""Scripts that measure what the README claims; each prints ratios, so that machines can be compared."""
