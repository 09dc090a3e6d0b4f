"""``python -m benchmarks``: print and store one table for each task, peers in the same run."""

import os
import sys

# Read when torch and numpy are loaded, so that they come after.
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}

if __name__ == "__main__":
    os.environ.update(_ONE_THREAD)

    from benchmarks.bench import main

    sys.exit(main())
