"""Pure: what do values look like? Nothing here keeps, logs or returns a value."""
