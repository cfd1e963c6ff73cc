"""Letters to people: what each must say, rendered from ``config/letters/`` as text and HTML. Pure."""
