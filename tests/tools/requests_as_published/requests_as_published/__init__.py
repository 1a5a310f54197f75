"""Holds recorded requests to AWS against the models that AWS publishes for its own Python SDK (botocore), without a network.

`python -m requests_as_published calls.jsonl…` prints a line for each request that is not as published, and ends with 1 if
there is one.
"""
