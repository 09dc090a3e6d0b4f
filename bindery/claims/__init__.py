"""Claims: their records, criteria and verdicts."""
