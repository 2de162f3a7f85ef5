"""Entry of the supervisor: finds its own package without importing the gateway around it, and runs it."""

import importlib
import os
import sys

if __name__ == "__main__":
    # Last in the path, so that nothing beside us can stand in for a standard module.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    os._exit(importlib.import_module("supervisor.run").main(sys.argv[1:]))
