"""Tables of results: as text, and as sections of the page that the documentation includes."""

from pathlib import Path
from statistics import fmean, median

COLUMNS = (
    "contender",
    "seconds",
    "ratio of medians",
    "median of ratios",
    "objective",
    "iterations",
    "remarks",
)
RESULTS = "<!-- results -->"


def race_rows(problem, race, tolerance):
    """One row per contender; ratios are its seconds over those of the first contender."""
    first = race.results[0]
    parts = problem.n_iter if getattr(problem, "per_iteration", False) else 1
    rows = []
    for result in race.results:
        if result.failure:
            rows.append([result.name, "", "", "", "", "", f"failed: {result.failure}"])
            continue
        ratios = [
            seconds / first.seconds[number]
            for number, seconds in result.seconds.items()
            if number in first.seconds
        ]
        rows.append(
            [
                result.name,
                number_text(result.median / parts),
                f"{result.median / first.median:.2f}" if first.seconds else "",
                f"{median(ratios):.2f}" if ratios else "",
                objective_text(problem, fmean(result.objectives)),
                str(result.n_iter),
                "; ".join(remarks(problem, race, result, tolerance)),
            ]
        )
    return rows


def remarks(problem, race, result, tolerance):
    """What a reader must know about one row."""
    fixed = not problem.to_convergence and result.setting is None
    if fixed and not result.slow and result.n_iter < problem.n_iter:
        yield f"STOPPED AFTER {result.n_iter} OF {problem.n_iter} ITERATIONS: no comparison"
    if result.setting is not None:
        yield result.setting_text
        if max(result.objectives) > problem.goal:
            yield f"MISSES THE GAP in some round: {max(result.objectives):.2g}"
        return
    if result.slow:
        rounds = len(result.seconds)
        yield (
            f"slow: {rounds} {'round' if rounds == 1 else 'rounds'},"
            " time extrapolated from 1 and 4 iterations"
        )
        expected = race.reference_after_some
    else:
        first = race.results[0]
        expected = fmean(first.objectives) if first.objectives and not first.slow else None
    if expected is None or result is race.results[0]:
        return
    if result.other_model:
        yield "another model: only the seconds are compared"
        return
    reached = fmean(result.objectives)
    difference = (reached - expected) / abs(expected)
    if abs(difference) <= tolerance:
        if result.slow:
            yield f"objective after 4 iterations, where {race.results[0].name} has the same"
        return
    better = (difference > 0) == problem.higher_is_better
    yield f"OTHER OBJECTIVE: {'better' if better else 'worse'} by {abs(difference):.2g} relative"


def race_notes(problem, race, tolerance):
    """Lines under a table: what the objective is, and how quiet the machine was."""
    dropped = len(race.loads) - len(race.kept)
    loads = ", ".join(f"{load:.2f}" for load in race.loads.values())
    agreement = f"agreement within {tolerance:g} relative"
    if hasattr(problem, "goal"):
        agreement = f"every contender at its loosest setting that reaches {problem.goal:g}"
    lines = [
        f"objective: {problem.objective_name}; {agreement}",
        f"foreign load in cores per round: {loads}; limit {race.max_load:g},"
        f" {dropped} of {len(race.loads)} rounds dropped",
    ]
    if hasattr(problem, "notes"):
        lines += problem.notes()
    if race.disturbed:
        lines.append("NO QUIET ROUND: the least disturbed ones were kept, do not quote them")
    return lines


def objective_text(problem, objective):
    """Gaps need no digits, values do."""
    return f"{objective:.2g}" if hasattr(problem, "goal") else f"{objective:.9g}"


def number_text(seconds):
    """Four significant digits, in a unit that suits."""
    if seconds < 1e-3:
        return f"{1e6 * seconds:.4g} us"
    if seconds < 1:
        return f"{1e3 * seconds:.4g} ms"
    return f"{seconds:.4g} s"


def text_table(columns, rows):
    """Columns aligned by blanks."""
    table = [list(columns), *rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def markdown_section(title, command, columns, rows, notes, header):
    """One workload's part of the page."""
    lines = [f"## {title}", "", f"`{command}`", ""]
    lines.append("| " + " | ".join(columns) + " |")
    lines.append("|" + " --- |" * len(columns))
    lines.extend("| " + " | ".join(row) + " |" for row in rows)
    lines.append("")
    lines.extend(f"- {line}" for line in [*notes, *header])
    return "\n".join(lines)


def update_page(path, key, section, order):
    """Replace or add the section `key` of the page, keeping what is written above the results."""
    path = Path(path)
    head, _, tail = path.read_text().partition(RESULTS) if path.exists() else ("", "", "")
    sections = {}
    for part in tail.split("<!-- begin ")[1:]:
        name, _, body = part.partition(" -->\n")
        sections[name] = body.partition("\n<!-- end -->")[0]
    sections[key] = section
    ordered = sorted(sections, key=lambda name: order.index(name.split()[0]))
    body = "\n\n".join(f"<!-- begin {name} -->\n{sections[name]}\n<!-- end -->" for name in ordered)
    path.write_text(f"{head}{RESULTS}\n\n{body}\n")
