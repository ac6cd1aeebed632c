"""Where a quote that a model gave stands in a document, and whether the quote can be believed."""
