"""Policies and their structure: loading, outline, sentences. Knows no vectors."""
