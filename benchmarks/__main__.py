"""`python -m benchmarks` lists the workloads; `python -m benchmarks NAME` runs one."""

import argparse
import subprocess
import sys

from benchmarks.environment import describe, relaunch_with_fair_blas


def parse(arguments):
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", help="workload, group such as kmeans or gmm, or all")
    parser.add_argument("--rounds", type=int, help="quiet rounds to measure")
    parser.add_argument("--small", action="store_true", help="few rows, to try the program out")
    parser.add_argument("--peers", nargs="+", help="contenders to keep besides skgen, by prefix")
    parser.add_argument("--dtype", choices=("float32", "float64"))
    parser.add_argument("--markdown", metavar="FILE", help="also write the table into this page")
    parser.add_argument(
        "--busy",
        action="store_true",
        help="the machine is busy: one core, one thread each, seconds of its processor time",
    )
    parser.add_argument(
        "--max-load",
        type=float,
        default=0.15,
        help="drop rounds in which others used more cores than this (default 0.15)",
    )
    parser.add_argument(
        "--slow-after",
        type=float,
        default=8.0,
        help="extrapolate contenders whose fit takes more seconds than this (default 8)",
    )
    return parser.parse_args(arguments)


def main(arguments):
    options = parse(arguments)
    from benchmarks import workloads

    if options.name is None:
        for workload in workloads.CATALOGUE:
            print(f"{workload.name:24} {workload.title}")
        return 0
    chosen = workloads.find(options.name)
    if not chosen:
        print(f"no workload {options.name!r}; `python -m benchmarks` lists them", file=sys.stderr)
        return 2
    if len(chosen) > 1:
        return run_each(chosen, arguments, options.name)
    return run(chosen[0], options)


def run_each(chosen, arguments, name):
    """Each workload in a process of its own, so that none starts with another's threads."""
    failures = 0
    for workload in chosen:
        command = [workload.name if part == name else part for part in arguments]
        failures += subprocess.run([sys.executable, "-m", "benchmarks", *command]).returncode != 0
    return min(failures, 1)


def run(workload, options):
    from benchmarks import report, workloads
    from benchmarks.data import DataMissing

    rounds = options.rounds or workload.rounds
    key, title, command = workload.name, workload.title, f"python -m benchmarks {workload.name}"
    try:
        if isinstance(workload, workloads.FreshWorkload):
            columns = workload.columns
            rows, notes = workload.measure(rounds, options.small), []
        else:
            dtype = options.dtype or workload.dtype
            if dtype != workload.dtype:
                key, command = f"{key} {dtype}", f"{command} --dtype {dtype}"
            title = f"{title}, {dtype}"
            columns = report.COLUMNS
            rows, notes = race(workload, dtype, rounds, options)
    except DataMissing as missing:
        print(f"{workload.name}: skipped, {missing}")
        return 0
    if options.busy:
        title, key = f"{title}, one thread", f"{key} one-thread"
    if options.small:
        title += " (small)"
    header = describe()
    print(title, *header, "", report.text_table(columns, rows), *notes, "", sep="\n")
    if options.markdown:
        section = report.markdown_section(title, command, columns, rows, notes, header)
        order = [entry.name for entry in workloads.CATALOGUE]
        report.update_page(options.markdown, key, section, order)
    return 0


def race(workload, dtype, rounds, options):
    """Rows and notes of one race."""
    from benchmarks import report, timing, workloads

    notes, present = [], []
    for contender in workload.contenders:
        wanted = not options.peers or contender.name.startswith(("skgen", *options.peers))
        if not wanted or dtype not in contender.dtypes:
            continue
        reason = contender.missing()
        if reason:
            notes.append(f"{contender.name} is left out: {reason}")
        else:
            present.append(contender)
    problem = workload.problem(dtype, workloads.SMALL if options.small else 1)
    if options.busy:
        timing.clock = timing.processor_seconds
        notes.append("one thread on one core, seconds of processor time: the machine was busy")
        options.max_load = float("inf")
    result = timing.run_race(problem, present, rounds, options.max_load, options.slow_after)
    tolerance = workload.objective_tolerance(dtype)
    rows = report.race_rows(problem, result, tolerance)
    return rows, report.race_notes(problem, result, tolerance) + notes


if __name__ == "__main__":
    relaunch_with_fair_blas(sys.argv[1:])
    sys.exit(main(sys.argv[1:]))
