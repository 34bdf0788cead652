"""Proof for `wit/`: a plugin in Python. Its tasks greet, use the working directory, and end in the ways a run can end badly.

The host's own interfaces are ordinary modules; files are Python's own `open`.
"""

import json
import os

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.run import Failure
from wit_world.imports import context, log
from wit_world.imports.log import Level


def greet(properties):
    log.log(
        Level.INFO,
        f"hello {properties['name']}",
        [("flow", context.get("flow.id") or "none"), ("attempt", str(context.attempt()))],
    )
    print("standard output is logged too", flush=True)
    left = context.remaining_ms()
    return {"value": f"Hello, {properties['name']}!", "bounded": left is not None and left > 0}


def file(properties):
    with open("note.txt", "w") as note:
        note.write(properties["text"])
    with open("note.txt") as note:
        return {"text": note.read(), "files": sorted(os.listdir("."))}


def fail(_):
    raise Err(Failure(code="PROOF", message="this run was to fail", retryable=True, details='{"why":"asked"}'))


def throw(_):
    raise TypeError("thrown without being asked")


def spin(_):
    while True:
        pass


def eat(_):
    taken = []
    while True:
        taken.append(bytearray(b"\x01") * (1 << 20))


TASKS = {f"proof.py.{task.__name__.capitalize()}": task for task in (greet, file, fail, throw, spin, eat)}


class Run(exports.Run):
    def run(self, task: str, input: str) -> str:
        if task not in TASKS:
            raise Err(Failure("UNKNOWN_TASK", f"this plugin has no task type `{task}`", False, None))
        try:
            return json.dumps(TASKS[task](json.loads(input)))
        except Err:
            raise
        except Exception as error:
            # What is raised without a code is a fault of the plugin: said in its words, never as a trap.
            raise Err(Failure("RAISED", f"{type(error).__name__}: {error}", None, None)) from error


class Describe(exports.Describe):
    def describe(self) -> str:
        return json.dumps(
            {
                "name": "proof-py",
                "version": "1.0.0",
                "title": "Proof: Python",
                "tasks": [{"type": name} for name in TASKS],
            }
        )
