"""A local API that behaves like Anthropic's, and like OpenAI's: the demo, the rehearsal, and the other side of tests.

`simulator` decides what becomes of one request, out of pure parts: `requests` checks and counts, `usage` keeps limits
and the prompt cache, `faults` spoils, `replies` answers. `batches` does the same for Message Batches. Only `http`
knows HTTP, and `openai` what is different in that dialect.
"""
