"""Entry of the worker: finds its own package without importing the gateway around it, and runs it."""

import importlib
import os
import sys

if __name__ == "__main__":  # pragma: no cover - a process that may write no file, so no measurement either
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    run = importlib.import_module("worker.run")
    del sys.path[0]  # our neighbours shall stand in for no other module
    run.main()
