"""Units as types, so that a checker refuses to mix them up."""

from typing import NewType

Wcu = NewType("Wcu", float)
"""Write capacity units: one write of up to 1 KiB (DynamoDB Developer Guide: Read and write operations)."""

Rcu = NewType("Rcu", float)
"""Read capacity units: one strongly consistent read of up to 4 KiB; an eventually consistent one costs half."""

WCU_BYTES = 1024
RCU_BYTES = 4096
