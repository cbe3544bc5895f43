"""A Ray cluster of several "machines" on this one, for tests; ``ray_machines.py MACHINES``.

Says its addresses, its own and the one for clients, then waits until standard input ends. It
listens on the loopback interface alone and asks for the token in the environment; its files lie in
RAY_TMPDIR.
"""

from __future__ import annotations

import socket
import sys

from ray.cluster_utils import Cluster


def main() -> None:
    machines = int(sys.argv[1])
    own = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}
    own |= {"memory": 4 << 30, "node_ip_address": "127.0.0.1"}
    port = free_port()
    head = {**own, "ray_client_server_port": port}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(machines - 1):
        cluster.add_node(**own)
    sys.stdout.write(f"addresses {cluster.address} ray://127.0.0.1:{port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    cluster.shutdown()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        number: int = found.getsockname()[1]
        return number


if __name__ == "__main__":
    main()
