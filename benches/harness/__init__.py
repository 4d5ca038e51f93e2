"""Runs the measuring programs, makes the table, the plots and the JSON. Entry point: `scripts/bench`."""
