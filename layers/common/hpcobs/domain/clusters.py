"""The cluster that a caller speaks for. The site's own cluster is its home cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs.domain.errors import ForbiddenError

if TYPE_CHECKING:
    from collections.abc import Iterable


def check_cluster(
    bound: str | None, named: str | None, job_ids: Iterable[str] = (), *, home_cluster: str
) -> None:
    """Raise ForbiddenError if a caller bound to one cluster speaks for another.

    ``bound`` is the caller's cluster, None for a caller of all clusters. ``named`` is the cluster
    in the body, None for the home cluster.
    """
    if bound is None:
        return
    cluster = named or home_cluster
    if cluster != bound:
        raise ForbiddenError(
            f"this token may only speak for cluster {bound}, named in 'cluster_name', "
            f"and the request speaks for {cluster}"
        )
    if cluster == home_cluster:
        _check_ids(job_ids, cluster)


def _check_ids(job_ids: Iterable[str], cluster: str) -> None:
    # Job 17 of cluster "b" has the id "b.17". A job of the home cluster with that id would be it.
    for job_id in job_ids:
        if "." in job_id:
            raise ForbiddenError(
                f"this token may only speak for cluster {cluster}, "
                f"and {job_id} is the id of another cluster's job"
            )
