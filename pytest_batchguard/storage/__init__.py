"""The only room that imports yaml: reads and writes the baselines."""
