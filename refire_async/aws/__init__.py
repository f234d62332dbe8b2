"""Talking to DynamoDB: signing, transport, error table, the hot calls and the control plane.

One attempt per call on the data plane: whoever retries must know what the attempt may have done, and only the
pipeline knows. `Disposition` tells it.
"""
