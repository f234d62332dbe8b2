"""The clients that are compared, each a program of its own: `python -m …NAME URL TABLE WORKERS SEGMENTS`."""
