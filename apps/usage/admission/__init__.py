"""Admission: the gate with its limits and quotas, and the calls and keys it refused."""
