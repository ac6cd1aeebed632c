"""What the simulated model replies: values found in the document, put into the schema and into the API's JSON."""
