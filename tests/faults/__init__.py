"""Upstreams that misbehave, one way each, and what the gateway makes of it.

`cases` is the table. `stdio_upstream` and `http_upstream` are the far ends (standard
library only), `bench` runs a gateway between them and a caller, `report` prints.
"""
