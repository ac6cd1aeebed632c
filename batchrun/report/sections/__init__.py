"""The sections of the page of a run: each is a function from the values of the report to a card, or to nothing."""
