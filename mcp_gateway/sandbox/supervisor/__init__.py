"""The supervisor: one process per sandboxed run, made of the standard library alone.

`main.py` is started with `python -I -S`; it and its neighbours import nothing of the gateway, so a run shares no
memory, no environment and no descriptor with it. The neighbours import each other relatively and keep to cheap
modules: the supervisor's start is most of what a run costs, and dataclasses or typing would add to each.
"""
