"""Runs a Python example of the documents as a reader would in a notebook: `url` is there, and so is `await`.

Usage: wrap.py EXAMPLE. It knows nothing of what the example shows.
"""

import ast
import asyncio
import inspect
import os
import sys


def main() -> None:
    path = sys.argv[1]
    with open(path, encoding="utf-8") as file:
        source = file.read()
    code = compile(source, path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, {"__name__": "__main__", "url": os.environ["url"]})
    if inspect.iscoroutine(result):
        asyncio.run(result)


main()
