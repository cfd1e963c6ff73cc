"""Cohort and rule or right to plan: the foreign-key graph, the order, the dispositions."""
