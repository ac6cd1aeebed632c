"""A local API that behaves like Anthropic's: the keyless demo, the rehearsal, and the tests' other side.

`simulator` decides what becomes of one request, out of pure parts: `requests` checks and counts, `usage` keeps limits
and the prompt cache, `faults` spoils, `replies` answers. `batches` does the same for Message Batches. Only `http`
knows HTTP.
"""
