"""Verdicts become rows once; the terminal, the failure and the JSON file render rows."""
