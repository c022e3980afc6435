"""Works on many buckets at the same time, because most of the time goes into waiting for distant regions."""

from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

_WORKERS = 8


def each(work, items):
    """The results of `work` for all items, in their order. After a failure nothing new is begun."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            # Also after Ctrl-C. What has been begun ends before this function does.
            pool.shutdown(cancel_futures=True)
        failed = [future for future in futures if not future.cancelled() and future.exception()]
    return [future.result() for future in failed or futures]
