"""The Practice Engine: the platform whose privacy promises this project keeps, with people in it."""
