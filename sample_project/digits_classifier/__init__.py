"""Recognises handwritten digits with a small convolutional network."""
