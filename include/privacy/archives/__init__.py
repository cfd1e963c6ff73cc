"""Archives that answer access and portability requests: what is in them, and how they are written."""
