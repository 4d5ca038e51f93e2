"""Starts the status line of examples/status-line at a sign: what it imports is loaded, then a line is awaited on standard
input, so that many of them begin in the same moment. Usage: starter.py PROGRAM"""

import runpy
import sys
import urllib.request  # noqa: F401

import forebay  # noqa: F401

print("ready", flush=True)
sys.stdin.readline()
runpy.run_path(sys.argv[1], run_name="__main__")
