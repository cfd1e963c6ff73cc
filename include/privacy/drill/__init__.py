"""Use case: once a week a synthetic person uses every right, and is looked for in every store afterwards."""
