"""Rows as images, side by side in one picture."""

from math import ceil, isqrt, sqrt
from numbers import Integral

import numpy as np

# Below zero and of the largest value: means of float32 rows that are 0 may be as much.
ROUNDING = 1e-5


def check_image_shape(image_shape, n_columns):
    """Height and width, and 3 where pixels have colors, of rows of so many columns."""
    if image_shape is None:
        side = isqrt(n_columns)
        if side * side != n_columns:
            raise ValueError(
                f"image_shape=None means square images, but {n_columns} columns are no square;"
                " give (height, width)"
            )
        return side, side
    shape = tuple(image_shape) if hasattr(image_shape, "__len__") else ()
    if not shape or not all(isinstance(side, Integral) for side in shape):
        raise TypeError(f"image_shape={image_shape!r} must be (height, width) or None")
    if len(shape) not in (2, 3) or min(shape) < 1 or shape[2:] not in ((), (3,)):
        raise ValueError(
            f"image_shape={image_shape!r} must be (height, width), or (height, width, 3) for pixels"
            " of red, green and blue"
        )
    if np.prod(shape) != n_columns:
        raise ValueError(
            f"image_shape={image_shape!r} has {np.prod(shape)} cells, but there are {n_columns}"
            " columns"
        )
    return tuple(int(side) for side in shape)


def check_grid_width(n_columns, suggested, n_images):
    """The number of images in a line: the given one, or the suggested one."""
    if n_columns is None:
        return suggested
    if not isinstance(n_columns, Integral) or isinstance(n_columns, bool):
        raise TypeError(f"n_columns={n_columns!r} must be an int or None")
    if n_columns < 1:
        raise ValueError(f"n_columns={n_columns!r} must be at least 1")
    return min(int(n_columns), n_images)


def grid_width(n_images):
    """Images in a line of a grid somewhat wider than high, with full lines if that can be had."""
    ideal = sqrt(1.6 * n_images)
    full = [
        width
        for width in range(1, n_images + 1)
        if n_images % width == 0 and n_images <= width * width <= 3 * n_images
    ]
    return min(full, key=lambda width: abs(width - ideal), default=ceil(ideal))


def even_width(n_images, most):
    """Images in a line, at most so many, where lines are about equally long."""
    lines = -(-n_images // most)
    return -(-n_images // lines)


def check_color_map(cmap, signed):
    """A matplotlib Colormap: the given one, or one that suits numbers of both or of one sign."""
    from matplotlib import colormaps
    from matplotlib.colors import Colormap

    if cmap is None:
        return colormaps["RdBu_r" if signed else "gray_r"]
    if isinstance(cmap, Colormap):
        return cmap
    if not isinstance(cmap, str):
        raise TypeError(f"cmap={cmap!r} must be the name of a color map, a Colormap or None")
    if cmap not in colormaps:
        raise ValueError(f"cmap={cmap!r} is no color map of matplotlib")
    return colormaps[cmap]


def color_limits(values):
    """(-m, m) around 0 where a finite value is negative beyond rounding, else (0, m)."""
    finite = values[np.isfinite(values)]
    largest = float(np.abs(finite).max(initial=0.0)) or 1.0
    return (-largest if finite.min(initial=0.0) < -ROUNDING * largest else 0.0), largest


def tile(images, width):
    """Images (m, height, width, ...) as one, with gaps of NaN; also the corner of each (m, 2)."""
    m, high, wide, *channels = images.shape
    gap = max(1, min(high, wide) // 12)
    lines = -(-m // width)
    shape = lines * (high + gap) - gap, width * (wide + gap) - gap
    whole = np.full((*shape, *channels), np.nan)
    places = np.arange(m)
    corners = np.column_stack([places // width * (high + gap), places % width * (wide + gap)])
    for image, (top, left) in zip(images, corners, strict=True):
        whole[top : top + high, left : left + wide] = image
    return whole, corners


def in_colors(whole, limits):
    """Cells (..., 3) as red, green, blue and opacity, none where a cell is NaN."""
    lowest, highest = limits
    hidden = np.isnan(whole).any(axis=-1, keepdims=True)
    shades = np.clip((np.nan_to_num(whole) - lowest) / (highest - lowest), 0.0, 1.0)
    return np.concatenate([shades, np.where(hidden, 0.0, 1.0)], axis=-1)
