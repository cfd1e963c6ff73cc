"""Policy notices: everybody hears of a material change 30 days before it applies, provably, once (P8.1)."""
