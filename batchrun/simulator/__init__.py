"""A local API that behaves like Anthropic's: the keyless demo, the rehearsal, and the tests' other side.

Pure parts decide (validation, schemas, counting, buckets, faults, latency, reading, answers, lives of batches, books);
`simulator` puts them together for one request and `batches` for one call about a batch. Only `server`, `endpoints`,
`batch_endpoints` and `http_replies` know HTTP.
"""
