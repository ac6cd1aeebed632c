"""What commands print: text and JSON, made from values."""
