"""Members of a consumer group that can be killed: a parent that has everything loaded forks `manage.py stream`."""

import os
import signal
import sys
import traceback

import django


def main(members: int, brokers: str, *arguments: str) -> None:
    """Fork them, print their numbers, and reap them until all have ended; each one's end is printed."""
    django.setup()
    from django.core.management import call_command

    from apps.scoring.serving import runtime

    runtime.load()  # before the forks, as the API does
    children = []
    for _ in range(members):
        child = os.fork()
        if not child:
            work(lambda: call_command("stream", "--brokers", brokers, *arguments))
        children.append(child)
    print(*children, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: [os.kill(child, signal.SIGKILL) for child in children])
    for _ in children:
        pid, status = os.waitpid(-1, 0)
        print(pid, os.waitstatus_to_exitcode(status), flush=True)


def work(consume: object) -> None:
    """In the child, which never comes back from here."""
    try:
        consume()  # type: ignore[operator]
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
