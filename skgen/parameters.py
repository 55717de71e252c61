"""Named views of one flat vector.

    w = [coef.ravel(), intercept]        layout.views(w)["coef"] shares the memory of w

Solvers, checkpoints and pickles see one array of numbers; models read and write its parts.
"""

from math import prod

import numpy as np


class Layout:
    """Where each named array lies in the flat vector.

    Parameters
    ----------
    **shapes : tuples of int
        Name -> shape, in the order of the vector.
    """

    def __init__(self, **shapes):
        self.shapes = shapes
        self.slices, start = {}, 0
        for name, shape in shapes.items():
            self.slices[name] = slice(start, start + prod(shape))
            start += prod(shape)
        self.size = start

    def views(self, w):
        """Name -> the part of `w` (whose last axis is the flat one), in its shape."""
        return {
            name: w[..., part].reshape(w.shape[:-1] + self.shapes[name])
            for name, part in self.slices.items()
        }

    def pack(self, **arrays):
        """A new float64 vector made of the named arrays; scalars fill their part."""
        w = np.empty(self.size)
        views = self.views(w)
        for name in self.shapes:
            views[name][...] = arrays[name]
        return w
