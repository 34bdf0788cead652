"""Builds target/guests/proof-py.wasm. componentize-py is not part of this repository: install it anywhere with
`python3 -m venv FOLDER && FOLDER/bin/pip install 'componentize-py==0.25.*'`, then `python3 build.py FOLDER/bin/componentize-py`.
"""

import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
TOOL = sys.argv[1] if len(sys.argv) > 1 else "componentize-py"
OUT = ROOT / "target" / "guests"
FILE = OUT / "proof-py.wasm"
# In the order in which they use each other.
PACKAGES = ["host@1.0.0", "task@1.0.0", "llm@1.0.0", "plugin@1.0.0"]

OUT.mkdir(parents=True, exist_ok=True)
wit = [argument for package in PACKAGES for argument in ("-d", str(ROOT / "wit" / package))]
started = time.monotonic()
subprocess.run(
    [TOOL, *wit, "-w", "sluice:plugin/plain-task@1.0.0", "componentize", "guest", "-p", str(HERE), "-o", str(FILE)],
    check=True,
    cwd=ROOT,
)
print(f"{FILE}: {FILE.stat().st_size} bytes in {time.monotonic() - started:.1f} s")
