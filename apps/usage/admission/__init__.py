"""What the gate is asked with and told: limits, quotas, and calls and keys that were refused."""
