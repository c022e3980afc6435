"""Starts a cluster with Coiled's own client, computes on it, and deletes it. Runs in .venv, which has that client.

The token comes through standard input. Arguments and environment variables could be read by other processes.
"""

import contextlib
import sys

import coiled
import dask
from coiled.errors import DoesNotExist

# The machines that docs/after-deploying.md names.
_MACHINE = ["t3.medium"]


def main():
    """Exits with 0 only if the cluster has computed a sum."""
    server, workspace, name = sys.argv[1:]
    dask.config.set({"coiled.server": server, "coiled.token": sys.stdin.read().strip(), "coiled.workspace": workspace})
    try:
        with _cluster(workspace, name) as cluster, cluster.get_client() as client:
            print("sum:", client.submit(sum, [1, 2, 3]).result())
    finally:
        # The client has deleted it already, unless it failed or was interrupted at a bad moment.
        with contextlib.suppress(DoesNotExist):
            coiled.delete_cluster(name=name, workspace=workspace)


def _cluster(workspace, name):
    return coiled.Cluster(
        name=name,
        workspace=workspace,
        n_workers=1,
        scheduler_vm_types=_MACHINE,
        worker_vm_types=_MACHINE,
        spot_policy="on-demand",
        shutdown_on_close=True,
        # If this process is killed, the cluster stops by itself.
        idle_timeout="10 minutes",
        # Otherwise the client would give the cluster the AWS credentials of this machine.
        credentials=None,
        show_widget=False,
    )


if __name__ == "__main__":
    main()
