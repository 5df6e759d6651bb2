"""Settings, one file a process: `base` is shared, `api` is slim, `portal` is the full Django, `test` is the suite's."""
