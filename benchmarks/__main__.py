"""``python -m benchmarks``: print one table for each task, peers in the same run."""

from benchmarks.race import race, table
from benchmarks.sparse import Size, races

SEEDS = (0, 1, 2)


def main() -> None:
    """Run every race, one thread each, and print its table."""
    tasks = races(Size(signals=100, n=1000, m=300, k=30), Size(signals=10, n=1000, m=300, k=30))
    print(f"Processor seconds of one thread, median of {len(SEEDS)} seeds; the error is the largest.\n")
    for title, (problem, methods) in tasks.items():
        print(table(title, race(problem, methods, SEEDS)) + "\n", flush=True)


if __name__ == "__main__":
    main()
