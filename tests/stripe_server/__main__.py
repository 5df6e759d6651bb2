"""`python -m tests.stripe_server --port 12111`: the stand-in on its own, until Ctrl-C."""

import argparse

from tests.stripe_server.server import Stand


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=12111)
    stand = Stand(port=parser.parse_args().port)
    print(f"STRIPE_API_BASE={stand.url} STRIPE_API_KEY={stand.api_key} STRIPE_WEBHOOK_SECRET={stand.webhook_secret}")
    with stand:
        try:
            stand.http._BaseServer__is_shut_down.wait()  # type: ignore[attr-defined]
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
