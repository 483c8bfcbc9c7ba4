"""Orchestration and ingestion: what runs when, and how raw files become tables. No maths, no SQL beyond loading."""
