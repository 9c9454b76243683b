"""The only rooms that import TensorFlow and Keras; they run in the process of a case."""
