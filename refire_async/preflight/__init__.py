"""What could go wrong, looked at before the first write.

`gather` asks (the only module with I/O, with `services` and `sampling` under it), `apply_rules` decides over what was
answered, `registry` names everything that can be found. Nothing is imported here: the command line needs the
names without the rest.
"""
