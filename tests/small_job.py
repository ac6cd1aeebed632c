"""The beginning of a job file whose [output] a test writes itself."""

HEAD = """\
[job]
name = "good"
[source]
type = "files"
include = ["*.txt"]
[model]
name = "claude-sonnet-5-5"
max_tokens = 1024
[prompt]
user = "{{ doc.text }}"
"""
