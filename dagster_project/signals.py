"""Known signal handlers where a command begins, default ones in every child, and an end to what outlives its parent.

A shell that starts a command in the background, nohup, cron and CI make it ignore SIGINT; Dagster then copies that to
SIGTERM at its first step, and children inherit it. Nothing here imports Dagster.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PR_SET_PDEATHSIG = 1
#: What asks a process to end, and may be ignored or blocked by whoever started it.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@contextmanager
def known() -> Iterator[None]:
    """Within: SIGINT and SIGTERM raise KeyboardInterrupt, whatever the parent had set; outside as before.

    SIGHUP is left as it is, since to ignore it is what nohup is for. Only the main thread may set handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def in_child(death: signal.Signals) -> Callable[[], None]:
    """What a child does before exec (preexec_fn): signals as by default; on Linux ``death`` when its parent dies."""
    parent, library = os.getpid(), _library()

    def prepare() -> None:
        _defaults()
        if library:
            library.prctl(PR_SET_PDEATHSIG, death)
            if os.getppid() != parent:  # it died meanwhile
                os._exit(1)

    return prepare


def begin_child(death: signal.Signals = signal.SIGKILL) -> None:
    """The same as a child's own first step, where somebody else's code starts it; Ctrl-C is Python's again."""
    parent, library = os.getppid(), _library()
    _defaults()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if library:
        library.prctl(PR_SET_PDEATHSIG, death)
        if os.getppid() != parent:
            raise SystemExit(1)


def end_with_parent() -> None:
    """Ask a process that another Python process made (a run of the code server) to end, by SIGTERM, when that one ends.

    Linux's own signal would come at the end of the thread that made it. Any other process is left alone.
    """
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is None:
        return

    # a parent that ignored the signal has handed that on
    if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()


def _defaults() -> None:
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _library() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None
