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
    found = asyncio.run(quality.measured())
    print(f"| nDCG@10, {len(quality.judgments())} questions | |\n|---|---|")
    for name, value in found.items():
        print(f"| {name} | {value:.4f} |")
    print("\nThe vectors are those of a fake model that knows a few synonyms: no proof of what a real one adds.\n")
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
