"""A cluster of Ray with several nodes on this machine, until standard input is closed: `python ray_nodes.py CORES…`.

The address and the processes to kill are told as a line of JSON.
"""

import json
import sys

from ray.cluster_utils import Cluster


def main() -> None:
    cluster = Cluster()
    nodes = [
        cluster.add_node(num_cpus=int(cores), include_dashboard=False, object_store_memory=80_000_000)
        for cores in sys.argv[1:]
    ]
    cluster.wait_for_nodes()
    told = {
        "address": cluster.address,
        "nodes": [node.all_processes["raylet"][0].process.pid for node in nodes],
        "head": nodes[0].all_processes["gcs_server"][0].process.pid,
    }
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    cluster.shutdown()


main()
