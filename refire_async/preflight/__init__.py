"""Problems that can be found before the first write: `refire check`, and the first step of `run` and `resume`.

`collect` queries the services (the only module with I/O, with `probes` and `sampling`), `rules` derives findings from
the facts, `findings` lists all kinds of findings. This module imports nothing, because the command line needs the ids
without the rest.
"""
