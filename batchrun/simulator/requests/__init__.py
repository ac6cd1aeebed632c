"""What the simulated API knows of a request before it answers: the models, what it refuses, and token counts."""
