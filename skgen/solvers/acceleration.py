"""Extrapolation of EM's iterates to where many more of them would lead.

    r(x) = F(x) - x,    F = one step of EM on packed, unconstrained parameters x

Near a limit r shrinks by a linear map, which a few differences of x and r show. An extrapolated
x, a leap, costs one pass over the rows like any step; the objective there must not be below what
the next plain step is known to reach.

The limit must be the one that plain EM finds. Leaps therefore

- begin only where EM's gains fall at a steady rate and what is left of them is little,
- are bounded: by a radius, or by the number of EM's steps whose sum they predict, and grow with
  success,
- keep the sign of what they shrink: an extrapolation that solves r(x) = 0 is drawn to saddles,
  which EM passes slowly and leaves on one side; a prediction of EM's own path leaves likewise,
- are followed by plain steps, which remove what they stirred up.

After rejections they pause for longer and longer, so that they cost little where they are no use.

Varadhan and Roland (2008), "Simple and globally convergent methods for accelerating the
convergence of any EM algorithm"; Henderson and Varadhan (2019), "Damped Anderson acceleration with
restarts and monotonicity control for accelerating EM and EM-like algorithms".
"""

from dataclasses import dataclass

import numpy as np

# Gains of plain steps count as steady when their ratio changes by less than this share of its
# distance to 1, ...
STEADY = 0.1
# ... so many times in a row, ...
STREAK = 3
# ... and as little when their sum to infinity is below this share of all that was gained.
LITTLE = 0.05
# A gain above the one before by more than rounding: the run is not near its limit.
GROWTH = 1.0001
# Plain steps after a rejection: so many, about twice as many after the next, at most so many.
PAUSE = 1
LONGEST_PAUSE = 64


@dataclass(frozen=True, slots=True)
class Place:
    """Where an E-step was made, and what it says.

    Attributes
    ----------
    params, target : parameters before and after the step of EM
    value, merit : float
        The objective at `params`, and what the M-step climbs; see `skgen.solvers.em`.
    gain : float
        What the merit rises by at least on the way to `target`.
    """

    params: object
    target: object
    value: float
    merit: float
    gain: float


class Approach:
    """Tells from the gains of plain steps whether a run is near its limit."""

    def __init__(self):
        self.gains, self.total = [], 0.0
        self.streak, self.near = 0, False

    def update(self, gain, plain):
        """Whether a place with this gain, reached by a `plain` step or a leap, is near."""
        self.gains = [*self.gains[-2:], gain] if plain else [gain]
        if plain:
            self.total += max(gain, 0.0)
        if len(self.gains) > 1 and not gain <= GROWTH * self.gains[-2]:
            self.gains, self.streak, self.near = [gain], 0, False
        elif not self.near and len(self.gains) == 3:
            self.streak = self.streak + 1 if self.fades() else 0
            self.near = self.streak >= STREAK
        return self.near

    def fades(self):
        first, second, third = self.gains
        if not first > second > third > 0.0:
            return False
        rate = third / second
        steady = abs(rate - second / first) <= STEADY * (1.0 - rate)
        return steady and third * rate <= LITTLE * self.total * (1.0 - rate)


class Extrapolation:
    """What the schemes share: when to leap. A scheme says whereto.

    A scheme has ``record(x, r, plain)``, ``leap()`` (a vector or None), ``grow()``, ``shrink()``
    and ``forget()``.
    """

    def __init__(self, model):
        self.model, self.approach = model, Approach()
        self.leaps = self.wait = self.pause = 0

    def propose(self, place, plain):
        """Packed parameters to try after `place`, None for a plain step."""
        if not self.approach.update(place.gain, plain):
            self.forget()
            return None
        x = self.model.pack(place.params)
        r = self.model.pack(place.target) - x
        if not np.isfinite(r).all():
            self.forget()
            return None
        self.record(x, r, plain)
        if self.wait > 0:
            self.wait -= 1
            return None
        return self.leap()

    def accept(self):
        self.leaps += 1
        self.pause //= 2
        self.grow()

    def reject(self):
        self.wait = self.pause = min(2 * self.pause + PAUSE, LONGEST_PAUSE)
        self.shrink()


class Squarem(Extrapolation):
    """Squared extrapolation along two steps of EM.

        x' = x + 2 a r + a^2 v,    v = r(F(x)) - r(x),    a = |r| / |v|

    An error e that EM shrinks by a factor c becomes (1 - a (1 - c))^2 e: its sign stays.
    """

    # Largest entry of a leap beyond the last step, in packed units.
    RADIUS = 0.3
    # Largest a at first, and its factor when it was taken and right.
    LENGTH = 4.0
    LENGTH_GROWTH = 4.0

    def __init__(self, model):
        super().__init__(model)
        self.radius, self.length = self.RADIUS, self.LENGTH
        self.places = []
        self.long = self.far = False

    def forget(self):
        self.places = []

    def record(self, x, r, plain):
        # The step from where a leap has ended shows what the leap stirred up.
        self.places = [*self.places[-1:], (x, r)] if plain else []

    def leap(self):
        if len(self.places) < 2:
            return None
        (x, r), (_, following) = self.places
        bend = following - r
        size, curvature = np.linalg.norm(r), np.linalg.norm(bend)
        if not np.linalg.norm(following) < size:
            return None
        length = size / curvature
        self.long = length >= self.length
        length = min(length, self.length)
        if length <= 1.0:
            return None
        plain = x + r + following
        step = x + 2.0 * length * r + length**2 * bend - plain
        furthest = np.abs(step).max()
        self.far = furthest > self.radius
        if self.far:
            step *= self.radius / furthest
        self.places = []
        return plain + step

    def grow(self):
        if self.long:
            self.length *= self.LENGTH_GROWTH
        if self.far:
            self.radius *= 4.0

    def shrink(self):
        if self.long:
            self.length = max(0.5 * self.length, 2.0)
        if self.far:
            self.radius *= 0.5


class Anderson(Extrapolation):
    """Anderson's extrapolation from several differences, damped to a number of EM's steps.

        x' = x + sum_{j < span} J^j r,    J = I + (differences of r) / (differences of x)

    With span = inf this is Anderson's step x + (I - J)^-1 r to where r vanishes. A finite span
    damps most what EM shrinks least, and what EM enlarges (a factor above 1) it enlarges too.
    What the differences do not span takes one step of EM.
    """

    MEMORY = 8
    # Steps of EM that a leap stands for: at first, and at least.
    SPAN = 4.0
    LEAST_SPAN = 2.0
    LONGEST_SPAN = 1e12
    # Plain steps between leaps.
    STEPS_BETWEEN = 2
    # Directions in which the differences are shorter than this share are noise.
    CUT = 1e-5
    # A leap was right when r is forecast up to these shares of what it was: longer, shorter.
    GOOD, BAD = 0.25, 1.0

    def __init__(self, model):
        super().__init__(model)
        self.span, self.forecast = self.SPAN, None
        self.forget()

    def forget(self):
        self.x, self.r, self.steps = [], [], 0

    def record(self, x, r, plain):
        self.x = [*self.x[-self.MEMORY :], x]
        self.r = [*self.r[-self.MEMORY :], r]
        self.steps = self.steps + 1 if plain else 0
        if not plain:
            expected, size = self.forecast
            error = np.linalg.norm(r - expected)
            if error < self.GOOD * size:
                self.span = min(2.0 * self.span, self.LONGEST_SPAN)
            elif not error <= self.BAD * size:
                self.shorten(0.5)

    def leap(self):
        if self.steps < self.STEPS_BETWEEN or len(self.x) < 2:
            return None
        x, r = self.x[-1], self.r[-1]
        moves, changes = np.diff(self.x, axis=0).T, np.diff(self.r, axis=0).T
        lengths = np.linalg.norm(moves, axis=0)
        if not lengths.min() > 0.0:
            return None
        basis, sizes, mix = np.linalg.svd(moves / lengths, full_matrices=False)
        kept = sizes > self.CUT * sizes[0]
        basis, mix = basis[:, kept], mix[kept]
        change = (changes / lengths) @ (mix.T / sizes[kept])
        along = basis.T @ r
        with np.errstate(over="ignore", invalid="ignore"):
            total = power_sum(np.eye(len(along)) + basis.T @ change, self.span) @ along
            leap = x + basis @ total + (r - basis @ along)
            self.forecast = r + change @ total, np.linalg.norm(r)
        return leap if np.isfinite(leap).all() else None

    def shorten(self, factor):
        self.span = max(factor * self.span, self.LEAST_SPAN)

    def grow(self):
        # `record` does it, once the step there is known.
        pass

    def shrink(self):
        self.shorten(0.25)
        self.x, self.r = self.x[-1:], self.r[-1:]


def power_sum(matrix, span):
    """I + J + ... + J^(s - 1) for the least power of two s >= `span`."""
    total, power, s = np.eye(len(matrix)), matrix, 1.0
    while s < span:
        total = total + power @ total
        power = power @ power
        s *= 2.0
    return total


ACCELERATIONS = {"squarem": Squarem, "anderson": Anderson}
