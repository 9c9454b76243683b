"""Instruments: each starts, stops and yields figures; clocks and readers are handed in."""
