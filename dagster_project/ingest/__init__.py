"""Readers: from files as published to rows of text. What a file should hold is said by its contract, never by code."""
