"""The embedded world: real servers on loopback and a platform with people in it."""
