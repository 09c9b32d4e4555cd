"""One thread does one job at a time."""

import threading
import time

import pytest

pytest.importorskip("ipywidgets")  # which the package `sliders` imports

from d2lmini.sliders import background  # noqa: E402


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    background.stop(timeout=120)
    assert not [t for t in threading.enumerate() if t.name == "d2lmini"]


def patient(name, log):
    """A job that goes on until it is stopped."""

    def job(stop):
        log.append(f"{name} begins")
        assert stop.wait(timeout=120)
        log.append(f"{name} ends")

    return job


def test_a_job_ends_before_the_next_begins():
    log = []
    background.start(patient("one", log))
    background.start(patient("two", log))
    background.stop(timeout=120)
    assert log == ["one begins", "one ends", "two begins", "two ends"]


def test_of_fifty_jobs_in_a_row_all_are_told_and_the_last_goes_on():
    told, all_started = [], threading.Event()
    for number in range(50):

        def job(stop, number=number):
            all_started.wait(timeout=120)
            told.append((number, stop.is_set()))

        background.start(job)
    all_started.set()
    background._thread.join()
    assert told == [(number, number < 49) for number in range(50)]


def test_start_does_not_wait_for_a_job_that_is_slow_to_stop():
    release = threading.Event()
    background.start(lambda stop: release.wait(timeout=120))
    began = []
    background.start(lambda stop: began.append(True))
    assert not began and not release.is_set()  # start has returned, the first job goes on
    release.set()
    background.stop(timeout=120)
    assert began == [True]


def test_a_job_that_raises_is_told_and_the_next_is_done(capsys):
    done = []

    def broken(stop):
        raise SystemExit("the disk is gone")

    background.start(broken)
    background.start(lambda stop: done.append(True))
    background.stop(timeout=120)
    assert done == [True] and "the disk is gone" in capsys.readouterr().err


def test_only_one_thread_whoever_starts():
    def work(stop):
        names.append(threading.current_thread())
        time.sleep(0.001)

    names = []
    callers = [threading.Thread(target=background.start, args=(work,)) for _ in range(20)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    background.stop(timeout=120)
    assert len(names) == 20
