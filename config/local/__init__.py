"""The runner of `make up`: this checkout's own servers, its secrets, and all processes of the Procfile."""
