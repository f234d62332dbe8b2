"""replay: what a delivery of stream records to a function costs its client."""
