"""What can go wrong by intention: kinds and names of faults, profiles of how often, and outages."""
