"""The portal in a real browser, over the processes of `make up`: `make test-browser`. Needs a Chromium."""
