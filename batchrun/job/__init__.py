"""What the user asked for: the job file, read strictly, and what follows from the job file alone.

Here belong the job file's keys and their checks, the problems shown for a bad job file, the output fields
with their schemas, the prompt template, and the texts of requests. Nothing here sends, stores or counts.
"""
