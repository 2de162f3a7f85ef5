"""Reading code without running it. The parsing itself happens in `worker`, a process of its own with hard limits."""
