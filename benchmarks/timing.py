"""The race: contenders take turns in one process, and rounds that others disturbed are dropped."""

import gc
import os
import sys
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

# Threads of the last contender's pools may spin this long, waiting for more work.
PAUSE = 0.05
# Two lengths of a slow contender's fit, from which the time of the full length follows.
FEW, SOME = 1, 4
SLOW_ROUNDS = 2
# Who has not reached the goal after so many times the seconds of a slow fit is given up.
GIVE_UP = 5
# /proc/stat counts in hundredths of a second, for each core.
CLOCK_TICKS = 100
CLOCK_ERROR = 0.03
# What fits are timed by; `--busy` takes processor time, that of workers included.
clock = time.perf_counter


@dataclass
class Result:
    """What one contender did."""

    name: str
    seconds: dict[int, float] = field(default_factory=dict)
    objectives: list[float] = field(default_factory=list)
    n_iter: int = 0
    slow: bool = False
    failure: str | None = None
    other_model: bool = False
    # Where contenders run to a gap: at which setting of their own this one reaches it.
    setting: float | None = None
    setting_text: str = ""

    @property
    def median(self):
        return median(self.seconds.values()) if self.seconds else float("nan")


@dataclass
class Race:
    """All contenders of one workload, and the foreign load of every round."""

    results: list[Result]
    loads: dict[int, float]
    kept: list[int]
    max_load: float
    reference_after_some: float | None = None

    @property
    def disturbed(self):
        """Whether no round was quiet, so that disturbed ones had to be kept."""
        return any(self.loads[number] > self.max_load for number in self.kept)


def run_race(problem, contenders, rounds, max_load, slow_after):
    """Let `contenders` take turns until `rounds` quiet rounds are done, or twice as many in all."""
    results = [
        Result(contender.name, other_model=contender.other_model) for contender in contenders
    ]
    if hasattr(problem, "beginning"):
        compare_beginnings(problem, contenders, results)
    prepare = find_settings if hasattr(problem, "goal") else warm_up
    prepare(problem, contenders, results, slow_after)
    race = Race(results, {}, [], max_load)
    extrapolates = any(result.slow for result in results) and not hasattr(problem, "goal")
    if extrapolates and not results[0].failure:
        _, answer, _ = timed(problem, contenders[0], SOME, 0)
        race.reference_after_some = problem.judge(answer)
    for number in range(2 * rounds):
        if len(race.kept) == rounds:
            break
        clock = LoadClock()
        for place in range(len(contenders)):
            turn = (place + number) % len(contenders)
            if wants_turn(results[turn], race):
                take_turn(problem, contenders[turn], results[turn], number)
        race.loads[number] = clock.foreign_load()
        if race.loads[number] <= max_load:
            race.kept.append(number)
    if not race.kept:
        race.kept = sorted(race.loads, key=race.loads.get)[:rounds]
    for result in results:
        kept = {n: result.seconds[n] for n in race.kept if n in result.seconds}
        result.seconds = kept or result.seconds
    return race


def compare_beginnings(problem, contenders, results):
    """Leave out who does other work than the rest, where rounding does not yet hide it."""
    for contender, result in zip(contenders, results, strict=True):
        try:
            _, answer, _ = timed(problem.beginning, contender, 1, 0)
            problem.beginning.compare(contender.name, answer)
        except Exception as error:  # a peer's failure is a result
            result.failure = first_line(error)


def warm_up(problem, contenders, results, slow_after):
    """One short fit each: loads code, starts threads, and finds out who is slow."""
    for contender, result in zip(contenders, results, strict=True):
        if result.failure:
            continue
        try:
            seconds, _, _ = timed(problem, contender, 1, 0)
        except Exception as error:  # a peer's failure is a result
            result.failure = first_line(error)
            continue
        # The first iteration comes with everything that a fit does once.
        expected = seconds * (1 + 0.6 * (problem.n_iter - 1))
        fixed_length = problem.n_iter > SOME and not problem.to_convergence
        result.slow = fixed_length and expected > slow_after


def find_settings(problem, contenders, results, slow_after):
    """The loosest setting of each contender that reaches the goal, searched outside the clock.

    A contender whose fits become too slow before it gets there takes no part.
    """
    for contender, result in zip(contenders, results, strict=True):
        try:
            find_setting(problem, contender, result, slow_after)
        except Exception as error:  # a peer's failure is a result
            result.failure = first_line(error)
        said = result.failure or result.setting_text
        print(f"{contender.name}: {said}", file=sys.stderr, flush=True)


def find_setting(problem, contender, result, slow_after):
    """Climb the ladder of one contender."""
    started = clock()
    for setting in contender.ladder:
        seconds, answer, _ = timed(problem, contender, setting, 0)
        gap = problem.judge(answer)
        if gap <= problem.goal:
            result.setting = setting
            result.setting_text = f"{contender.setting_name}={setting:.3g}"
            result.slow = seconds > slow_after
            return
        if clock() - started > GIVE_UP * slow_after:
            break
    result.failure = (
        f"gap {gap:.2g} after {seconds:.3g} s at {contender.setting_name}={setting:.3g}"
    )


def wants_turn(result, race):
    """Everybody does, but for the failed, and the slow who have had enough."""
    if result.slow and not result.failure:
        quiet = [number for number in result.seconds if number in race.kept]
        return len(quiet) < SLOW_ROUNDS and len(result.seconds) < 2 * SLOW_ROUNDS
    return not result.failure


def take_turn(problem, contender, result, number):
    """Time one fit, or estimate the time of a slow one, and judge it."""
    try:
        if result.setting is not None:
            seconds, answer, n_iter = timed(problem, contender, result.setting, number)
        elif result.slow:
            few, _, _ = timed(problem, contender, FEW, number)
            some, answer, _ = timed(problem, contender, SOME, number)
            slope = (some - few) / (SOME - FEW)
            seconds, n_iter = few + slope * (problem.n_iter - FEW), problem.n_iter
        else:
            seconds, answer, n_iter = timed(problem, contender, problem.n_iter, number)
        result.objectives.append(problem.judge(answer))
    except Exception as error:  # a peer's failure is a result
        result.failure = first_line(error)
        return
    result.seconds[number] = seconds
    result.n_iter = n_iter


def first_line(error):
    """The error in one line of a table."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def timed(problem, contender, n_iter, seed):
    """Seconds of one fit, its answer and its iterations."""
    repeats = getattr(problem, "repeats", 1)
    gc.collect()
    time.sleep(PAUSE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = clock()
        for _ in range(repeats):
            answer, done = contender.fit(problem, n_iter, seed)
        seconds = clock() - start
    return seconds / repeats, answer, done


class LoadClock:
    """Measures the cores that other processes keep busy."""

    def __init__(self):
        self.start = time.perf_counter(), busy_seconds(), processor_seconds()

    def foreign_load(self):
        """Cores taken by others since the start; 0 where /proc/stat does not exist."""
        wall, busy, own = (
            after - before
            for after, before in zip(
                (time.perf_counter(), busy_seconds(), processor_seconds()),
                self.start,
                strict=True,
            )
        )
        return max(0.0, busy - own - CLOCK_ERROR) / wall


def processor_seconds():
    """Processor time of this process and of the workers that it started."""
    own = time.process_time()
    try:
        import resource
    except ImportError:  # Windows
        return own
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own + ended.ru_utime + ended.ru_stime + living_seconds(os.getpid())


def living_seconds(ancestor):
    """Processor time of the processes below `ancestor`, which outlive a fit where joblib made them.

    0 where there is no /proc.
    """
    parents, seconds = {}, {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = entry.read_text()
        except OSError:  # it has just ended
            continue
        # The name, in parentheses, may hold anything.
        fields = text.rpartition(")")[2].split()
        process = int(entry.parent.name)
        parents[process] = int(fields[1])
        seconds[process] = (int(fields[11]) + int(fields[12])) / CLOCK_TICKS
    below, generation = 0.0, {ancestor}
    while generation:
        generation = {process for process, parent in parents.items() if parent in generation}
        below += sum(seconds[process] for process in generation)
    return below


def busy_seconds():
    """Seconds that all cores together were busy or taken away by a hypervisor."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return 0.0
    user, nice, system, _idle, _waiting, irq, softirq, steal, *_ = map(int, fields)
    return (user + nice + system + irq + softirq + steal) / CLOCK_TICKS
