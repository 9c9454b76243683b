"""Choosing the batch size: what fits, what is fast, what learns; pure, over probes and numbers that others measure."""
