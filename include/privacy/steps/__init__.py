"""The steps that retention and requests share: open a run, freeze, plan, execute, probe, conclude."""
