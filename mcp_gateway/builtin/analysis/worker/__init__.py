"""The process that parses: a task and code come in over standard input, findings go out as JSON.

It is started afresh for each analysis with an empty environment and hard limits, imports nothing of the gateway, and
never imports, compiles to bytecode or runs what it reads.
"""
