"""The act of planning: documents are read, named, sized and counted, and the ledger says what is known of them."""
