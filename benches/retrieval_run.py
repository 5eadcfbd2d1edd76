"""The run of `make bench-retrieval`: quality, then speed at each size; prints tables and writes the figures to `.build/bench`."""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from pathlib import Path

from retrieval import quality

SIZES = (1_000, 10_000, 100_000)
RESULT = Path(".build/bench/retrieval.json")


def main() -> None:
    """Measures and tells."""
    parser = argparse.ArgumentParser(description="Measures how well and how fast retrieval finds.")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="chunks; none measures quality alone")
    sizes = parser.parse_args().sizes
    collections = quality.collections()
    found = {collection.name: asyncio.run(quality.measured(collection)) for collection in collections}
    sizes_of = "; ".join(f"{one.name}: {len(one.asked)} questions, {len(one.passages)} passages" for one in collections)
    print(f"nDCG@10 ({sizes_of})\n\n| | {' | '.join(found)} |\n|---|{'---|' * len(found)}")
    for name in next(iter(found.values())):
        print(f"| {name} | {' | '.join(f'{figures[name]:.4f}' for figures in found.values())} |")
    print("\nWhich vectors these are: see benches/README.md.\n")
    print("| chunks | ingested/s | words p50 / p99 ms | both p50 / p99 ms | memory MB |\n|---|---|---|---|---|")
    speeds = []
    for size in sizes:
        command = [sys.executable, "-m", "retrieval.speed", "--chunks", str(size)]
        speed = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        speeds.append(speed)
        print(
            f"| {speed['chunks']:,.0f} | {speed['ingested_per_second']:,.0f} "
            f"| {speed['keyword_p50_ms']:.1f} / {speed['keyword_p99_ms']:.1f} "
            f"| {speed['hybrid_p50_ms']:.1f} / {speed['hybrid_p99_ms']:.1f} | {speed['memory_mb']:,.0f} |",
            flush=True,
        )
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({"ndcg_at_10": found, "speed": speeds}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
