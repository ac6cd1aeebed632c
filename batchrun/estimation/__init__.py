"""Tokens and dollars as intervals. Pure: values in, values out."""
