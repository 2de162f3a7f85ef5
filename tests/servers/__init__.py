"""Real servers, each met directly and through the gateway."""
