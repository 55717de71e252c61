"""Mixtures of rows that come in blocks: stepwise EM, and memoized batches with the exact objective.

A stream is a plain dictionary (it is pickled with the estimator): how many blocks came, the weight
of their rows, and expected moments, of the average row or of every named batch. Moments are kept
about the means they were taken about and moved to others exactly.

Of a batch b with moments s_b and responsibilities r_b, kept since its last visit, the objective

    F = sum_b (E log p(x_b, z) + H(r_b)) + regularizer,    E log p(x_b, z) a function of s_b

needs the entropy H(r_b) only, one number: the log norm of the visit minus E log p(x_b, z) then. The
M-step maximizes F over theta, a visit over r_b, so it never falls (Neal and Hinton 1998).
"""

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from skgen.distributions.gaussian import TINY_COUNT, MixtureMoments, expected_log_joint
from skgen.distributions.missing import with_own_scatter
from skgen.mixture.model import total_scatter


@dataclass(frozen=True)
class Rate:
    """Step sizes (t + offset) ^ -decay."""

    decay: float
    offset: float

    def __call__(self, step):
        return (step + self.offset) ** -self.decay


def check_batch(batch, stream):
    """Raise where `batch` is no name, or names and no names are mixed."""
    named = batch is not None
    if named and (isinstance(batch, bool) or not isinstance(batch, Integral | str)):
        raise TypeError(
            f"batch={batch!r} must be None, an int or a str, not {type(batch).__name__}"
        )
    if stream is not None and named != ("batches" in stream):
        raise ValueError(
            f"batch={batch!r}, but the rows before came {'without' if named else 'with'} a batch"
            " name; name all of them or none (those of fit have none; a clone starts anew)"
        )


def begin(model):
    """The stream before its first block."""
    return {"steps": 0, "weight": 0.0, "floor": model.floor, "scale": model.scale}


def resume(model, params, weight):
    """The stream of rows that were fitted together before: their moments are one block's."""
    moments = model.inference.moments(model.structure, params, weight, model.floor)
    stream = begin(model)
    per_row = moments.scaled(1.0 / max(moments.weight, TINY_COUNT))
    stream.update(steps=1, weight=weight, moments=stored(per_row))
    return stream


def own_moments(model, params, rows):
    """`MixtureMoments` of the rows at `params`, complete in themselves, and the prepared model."""
    prepared = model.prepare(params)
    moments = rows.sum(model.e_step, prepared)
    model.value(params, moments)
    if moments.scatter is None:
        moments = with_own_scatter(moments, total_scatter(rows, moments.origin.mean(axis=0)))
    return moments


def average(stream, model, params, rows, rate, total):
    """One step of stepwise EM; changes `stream`, returns parameters, objective and weight.

    The objective is that of all rows (`total`, or the weight seen) as the block estimates it.
    """
    moments = own_moments(model, params, rows)
    seen = stream["weight"] + moments.weight
    weight = seen if total is None else max(float(total), seen)
    per_row = moments.scaled(1.0 / moments.weight)
    if "moments" in stream:
        step = rate(stream["steps"])
        old = restored(stream["moments"]).about(moments.origin, model.structure)
        per_row = old.scaled(1.0 - step).merge(per_row.scaled(step))
    per_row = per_row.reordered(model.inference.order(per_row.count))
    stream.update(steps=stream["steps"] + 1, weight=seen, moments=stored(per_row))
    value = moments.log_norm / moments.weight * weight + model.regularizer(params)
    return model.m_step(params, per_row.scaled(weight)), model.in_units(value, weight), weight


def memoize(stream, model, params, rows, batch):
    """Visit a named batch; changes `stream`, returns parameters and their exact objective."""
    moments = own_moments(model, params, rows)
    entropy = moments.log_norm - log_joint(model, params, moments)
    batches = dict(stream.get("batches", {}))
    batches[batch] = {**stored(moments), "entropy": entropy}
    total, entropies = None, 0.0
    for kept in batches.values():
        part = restored(kept).about(moments.origin, model.structure)
        # The copy is what merges change.
        total = part.scaled(1.0) if total is None else total.merge(part)
        entropies += kept["entropy"]
    # An M-step that renames components would leave the batches behind.
    order = model.inference.order(total.count)
    if order is not None and (np.diff(order) < 0).any():
        total = total.reordered(order)
        batches = {
            name: {**stored(restored(kept).reordered(order)), "entropy": kept["entropy"]}
            for name, kept in batches.items()
        }
    params = model.m_step(params, total)
    value = log_joint(model, params, total) + entropies + model.regularizer(params)
    stream.update(steps=stream["steps"] + 1, weight=total.weight, batches=batches)
    return params, model.in_units(value, total.weight), total.weight


def log_joint(model, params, moments):
    """E log p(x, z) of the rows that the moments sum up."""
    return expected_log_joint(
        model.structure,
        moments,
        params.means,
        params.factors,
        model.log_weights(params),
        model.scatter,
    )


def stored(moments):
    """Moments as a dictionary of arrays and numbers."""
    return {
        "weight": moments.weight,
        "count": moments.count.copy(),
        "shift": moments.shift.copy(),
        "scatter": moments.scatter.copy(),
        "origin": np.array(moments.origin),
        "pooled": moments.pooled,
    }


def restored(kept):
    """`MixtureMoments` from `stored`, whose arrays they share."""
    return MixtureMoments(
        kept["weight"],
        0.0,
        kept["count"],
        kept["shift"],
        kept["scatter"],
        kept["origin"],
        kept["pooled"],
    )
