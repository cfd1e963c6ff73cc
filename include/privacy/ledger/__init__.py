"""What happened: requests, holds, tombstones, plans, outcomes, evidence."""
