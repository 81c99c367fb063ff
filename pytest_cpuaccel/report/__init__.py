"""One file for each form that facts are shown in."""
