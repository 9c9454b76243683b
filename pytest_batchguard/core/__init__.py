"""What things are and how they are judged: pure Python, standard library only."""
