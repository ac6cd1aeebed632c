"""The OpenAI dialect of the simulated API: put into words of the Messages API at the rim, and back."""
