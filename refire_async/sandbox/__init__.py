"""DynamoDB in a process: items, expressions, PartiQL, streams, capacity and faults, as any AWS SDK expects them.

It imports nothing from the engine, so that it is an independent oracle. Start here:

- ``run(config)`` serves until it is stopped: the main function of ``refire sandbox``.
- ``SandboxProcess(config)`` and ``start_sandbox(config)`` run one in a child process.
"""

from refire_async.sandbox.config import SandboxConfig
from refire_async.sandbox.process import SandboxError, SandboxProcess, run, start_sandbox

__all__ = ["SandboxConfig", "SandboxError", "SandboxProcess", "run", "start_sandbox"]
