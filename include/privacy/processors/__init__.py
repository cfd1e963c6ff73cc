"""The outside world: one adapter per processor (P5.1 to P5.7), each behind :class:`.protocol.Processor`."""
