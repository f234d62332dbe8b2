"""Sources: where the items of a run come from.

Tables and indexes, lists of keys, exports; and how selections are read.
"""
