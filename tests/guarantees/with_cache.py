"""Runs a driver with the compilation cache, as the commands have it: `python with_cache.py DRIVER ...`."""

import runpy
import sys

from electra_tf.training.compilation_cache import use_cache

if __name__ == "__main__":
    use_cache()
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
