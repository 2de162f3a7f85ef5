"""Where calls go out: one keeper per upstream connection, and the wires they speak over."""
