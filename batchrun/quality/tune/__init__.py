"""Which setting of a job is good enough and cheapest: the settings of the grid, what is measured, and the verdict."""
