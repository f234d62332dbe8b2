"""Clients of AWS: signing, transport, error table, data plane, control plane, streams and other services.

A call of the data plane sends one request. Only the pipeline retries it, because only the pipeline knows what an
earlier request may have written; `Disposition` says whether it may.
"""
