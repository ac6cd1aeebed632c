"""The proof: submits that are killed at chosen moments and started again until their project is settled.

The processes, the kills, the files and the HTTP are real; only the API is the simulator.
"""
