"""What this project assumes about AWS, as small programs that anyone with an account can run.

Each fact that the engine, the delivery, the proof, the plan or the sandbox relies on is one probe. `python -m
tests.probes` tries them on AWS, the sandbox or an emulator, on resources that it makes and takes away.
"""
