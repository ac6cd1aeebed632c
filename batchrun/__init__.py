"""A batch document-processing job runner for Claude.

Planning is free and pure, executing costs money, and the store is the only memory.
"""

__version__ = "0.1.0"
