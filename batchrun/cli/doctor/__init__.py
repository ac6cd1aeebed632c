"""The checks of `doctor`: each yields a `Check`, with what mends a thing that is not in order. Nothing is changed."""
