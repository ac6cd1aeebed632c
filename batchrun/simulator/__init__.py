"""A local API that behaves like Anthropic's: the keyless demo, the rehearsal, and the tests' other side.

Pure parts decide (validation, schemas, counting, buckets, faults, latency, reading, answers, replies, books);
`simulator` puts them together for one request, and `server` is the only file that knows HTTP.
"""
