"""The Anthropic API: the client, and everything that knows the API's JSON, headers and errors."""
