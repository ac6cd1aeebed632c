"""The simulated Message Batches: the body of a create call, the life of a batch, its results and its bill."""
