"""What was measured, by kind: frozen values that know no budget."""
