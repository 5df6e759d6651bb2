"""The rate limit while Valkey is away."""

from apps.api_keys.gate import Rate, refusal


class LocalRates:
    """The rate limit while Valkey is away: each process gives its share, limit ÷ processes, by the same GCRA."""

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self._arrivals: dict[str, float] = {}

    def take(self, handle: str, per_minute: int, now: float) -> Rate:
        """One request at `now` (monotonic seconds). Raises `Problem` when the share is used up."""
        share = max(per_minute // self.processes, 1)
        interval = 60.0 / share
        arrival = max(self._arrivals.get(handle, now), now) + interval
        room = 60.0 - (arrival - now)
        reset_ms = int((arrival - now) * 1000)
        if room < -1e-9:
            raise refusal("rate_limited", (share, int(-room * 1000) + 1, reset_ms), "")
        self._arrivals[handle] = arrival
        return Rate(share, int((room + 1e-9) / interval), reset_ms)
