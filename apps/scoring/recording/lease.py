"""Who reads the journal: of several recorders one at a time, by a lease in Valkey that its holder renews.

The others stand by and take over within `LEASE_SECONDS` after the holder was killed, at once after it stopped. The
lease saves work; nothing depends on it being held by one alone: what two record is recorded once.
"""

import os
import secrets

from apps.valkey import Script, Valkey

#: How long after its last sign of life a recorder is taken for dead.
LEASE_SECONDS = 3.0
KEY = "recorder:lease"

#: KEYS 1 the lease. ARGV 1 who asks  2 ms it is to last. Answer: 1 when it is theirs from now on.
TAKE = Script("""
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")
#: KEYS 1 the lease. ARGV 1 who gives it up.
GIVE_UP = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0
""")

_PROGRAM = secrets.token_hex(8)


class Lease:
    """This process's share in the lease. Raises `apps.valkey.Away`."""

    def __init__(self, valkey: Valkey) -> None:
        self.valkey = valkey
        self.holder = f"{_PROGRAM}:{os.getpid()}"  # forks of one program are apart, too

    def take(self) -> bool:
        """Take or renew it; False while another recorder has it."""
        return bool(self.valkey.run(TAKE, [KEY], [self.holder, int(LEASE_SECONDS * 1_000)]))

    def give_up(self) -> None:
        """Leave it to whoever asks next. Harmless when another has it."""
        self.valkey.run(GIVE_UP, [KEY], [self.holder])
