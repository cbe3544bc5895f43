"""Puts load on a server that this script starts: many clients, many searches, all must succeed.

    python scripts/load_serve.py STORE PHOTOS [--clients 32] [--requests 2000] [--rounds 1]

STORE is searched for photos of the folder PHOTOS, each sent whole. It prints how many failed, the
median and 95th percentile of the time an answer took, answers a second, and the memory of the
server before, in between and afterwards.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import httpx
import psutil

KEY = "key-of-a-load-test-on-loopback"


@dataclass(frozen=True)
class Answer:
    seconds: float
    status: int
    neighbors: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=4, help="memory is looked at after each")
    asked = parser.parse_args()
    photos = [path.read_bytes() for path in islice(sorted(asked.photos.rglob("*.jpg")), 200)]
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "key"
        key.write_text(KEY)
        key.chmod(0o600)
        command = ["serve", str(asked.store), "--port", "0", "--key-file", str(key)]
        server = subprocess.Popen(
            [sys.executable, "-m", "facesearch", *command], stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            return load(address, photos, asked, psutil.Process(server.pid))
        finally:
            server.terminate()
            server.wait(30)


def load(
    address: str, photos: list[bytes], asked: argparse.Namespace, server: psutil.Process
) -> int:
    limits = httpx.Limits(max_connections=asked.clients)
    headers = {"Authorization": f"Bearer {KEY}"}
    answers: list[Answer] = []
    with (
        httpx.Client(base_url=address, headers=headers, timeout=120, limits=limits) as client,
        ThreadPoolExecutor(asked.clients) as pool,
    ):
        search(client, photos[0])
        memory = [server.memory_info().rss / 1e6]
        begin = time.monotonic()
        each = asked.requests // asked.rounds
        for _ in range(asked.rounds):
            again = islice(cycle(photos), each)
            answers += pool.map(lambda photo: search(client, photo), again)
            memory.append(server.memory_info().rss / 1e6)
        took = time.monotonic() - begin
    return report(answers, memory, took, asked.clients)


def search(client: httpx.Client, photo: bytes) -> Answer:
    begin = time.monotonic()
    answer = client.post("/api/search", files={"photo": photo})
    found = len(answer.json().get("neighbors", ()))
    return Answer(time.monotonic() - begin, answer.status_code, found)


def report(answers: list[Answer], memory: list[float], took: float, clients: int) -> int:
    failed = sum(answer.status != 200 or not answer.neighbors for answer in answers)
    times = sorted(answer.seconds for answer in answers)
    print(f"{len(answers):,} requests of {clients} clients on {os.cpu_count()} cores")
    print(f"failed: {failed}")
    late = times[len(times) * 95 // 100]
    print(f"median {statistics.median(times):.3f} s, 95 % within {late:.3f} s")
    print(f"{len(answers) / took:.1f} answers a second")
    print("server memory, MB:", ", ".join(f"{each:.0f}" for each in memory))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
