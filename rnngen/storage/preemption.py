"""Stopping when asked: SIGTERM, Ctrl-C, or a driver that is gone.

A training that is asked saves its state at its next row and raises `Preempted`. What cannot get there in time, a long
compilation or evaluation, is ended where it is, and goes on from its last checkpoint.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import wait

PREEMPTED = 75  # exit status; sysexits.h calls it EX_TEMPFAIL: try again later
GRACE = 20.0  # seconds

_asked = threading.Event()
_timers: list[threading.Timer] = []


class Preempted(BaseException):
    """A training was asked to stop and has saved its state; like KeyboardInterrupt, no error of what was going on."""


def asked() -> bool:
    """Whether this process should stop."""
    return _asked.is_set()


def ask(reason: str, grace: float = GRACE) -> None:
    """Ask this process to stop, and end it in `grace` seconds if it has not."""
    if _asked.is_set():
        return
    _asked.set()
    timer = threading.Timer(grace, end, (f"{reason}, and at no row within {grace:.0f} s",))
    timer.daemon = True
    _timers.append(timer)
    timer.start()


def end(reason: str) -> None:
    """End this process at once, as one that goes on from its last checkpoint."""
    print(f"rnngen: {reason}; the same command goes on from the last checkpoint", file=sys.stderr, flush=True)
    os._exit(PREEMPTED)


@contextlib.contextmanager
def listening(grace: float = GRACE, interrupts: bool = True) -> Iterator[None]:
    """Have SIGTERM and, with `interrupts`, Ctrl-C ask; a second of them ends this process at once.

    A thread hears them, since the main one may be inside of a compilation, where Python's handlers do not run.
    What was asked stays known afterwards, until the next listening begins. Elsewhere than in the main thread, which
    alone may say how signals are met, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = [signal.SIGTERM, *([signal.SIGINT] if interrupts else [])]
    ears, mouth = socket.socketpair()
    mouth.setblocking(False)
    _asked.clear()
    hearing = threading.Thread(target=_hear, args=(ears, signals, grace), name="signals", daemon=True)
    hearing.start()
    # In this order, and back in the other: no signal may come to handlers that do nothing and be heard by nobody.
    descriptor = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, lambda *_: None) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(descriptor)
        mouth.close()
        hearing.join()
        while _timers:
            _timers.pop().cancel()


def _hear(ears: socket.socket, signals: list[signal.Signals], grace: float) -> None:
    with ears:
        while heard := ears.recv(1):
            if heard[0] in signals:
                reason = f"stopped by {signal.Signals(heard[0]).name}"
                if asked():
                    end(f"{reason} again")
                print(f"rnngen: {reason}: saving; once more ends it at once", file=sys.stderr, flush=True)
                ask(reason, grace)


def watch(sentinel: int, reason: str, grace: float = GRACE) -> None:
    """Ask when a process ends whose sentinel this is."""

    def hear() -> None:
        wait([sentinel])
        ask(reason, grace)

    threading.Thread(target=hear, name="driver", daemon=True).start()
