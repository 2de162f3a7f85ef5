"""Real clients, each a small program, and the matrix of them over every door."""
