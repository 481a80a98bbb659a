"""Datasette as a rival in search, with the log and the socket that all rivals have."""

import sys

from datasette.app import Datasette

from bench.rivals import serve

if __name__ == "__main__":
    serve(Datasette([sys.argv[1]]).app())
