"""The public conformance suite, run against our fixture directly and through the gateway."""
