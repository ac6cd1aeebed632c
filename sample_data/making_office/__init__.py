"""Makes the files of sample_data/office: a module for each file or two, beside what writes PDFs, scans and archives.

Only the standard library is used, and nothing that compresses: another zlib would give other bytes.
"""
