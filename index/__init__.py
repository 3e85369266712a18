"""Clauses to a searchable index on disk and in memory, and the model that makes their vectors."""
