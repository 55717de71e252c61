"""Photographs in eight and thirty-two colors: k-means over pixels, each color once with its count.

Quantization replaces every pixel by the nearest of k colors; k-means looks for the k colors of
least squared error. A weight is a repetition, so the distinct colors with their counts as
`sample_weight` have the same clusters as all pixels and are fewer rows.
"""

import argparse
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

from skgen.cluster import KMeans

PHOTOGRAPHS = ("china.jpg", "flower.jpg")
SIZES = (8, 32)


def quantize(photograph, n_colors):
    """The photograph in so many colors, and these colors by decreasing use."""
    colors, codes, counts = np.unique(
        photograph.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True
    )
    begin = time.perf_counter()
    kmeans = KMeans(n_colors, n_init=1, random_state=0)
    kmeans.fit(colors.astype(np.float64), sample_weight=counts)
    milliseconds = 1e3 * (time.perf_counter() - begin)
    print(
        f"  {n_colors:2} colors: {codes.size} pixels of {len(colors)} colors, fitted in"
        f" {milliseconds:.0f} ms"
    )
    palette = kmeans.cluster_centers_.round().astype(np.uint8)
    used = np.bincount(kmeans.labels_, weights=counts, minlength=n_colors)
    quantized = palette[kmeans.labels_[codes.reshape(-1)]]
    return quantized.reshape(photograph.shape), palette[np.argsort(-used)]


def error(photograph, quantized):
    """Root mean square difference of the three channels, of 255."""
    return np.sqrt(np.mean((photograph.astype(float) - quantized) ** 2))


def median_cut(photograph, n_colors):
    """What most programs for pictures do: halve boxes of colors at their medians."""
    image = Image.fromarray(photograph).quantize(n_colors, Image.Quantize.MEDIANCUT, dither=0)
    return np.asarray(image.convert("RGB"))


def main(output):
    figure, axes = plt.subplots(
        2 * len(PHOTOGRAPHS),
        1 + len(SIZES),
        figsize=(10, 5.4),
        height_ratios=[12, 1] * len(PHOTOGRAPHS),
        layout="constrained",
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for number, name in enumerate(PHOTOGRAPHS):
        photograph = load_sample_image(name)
        print(name)
        pictures, palettes = axes[2 * number], axes[2 * number + 1]
        pictures[0].imshow(photograph)
        pictures[0].set_title(name)
        for place, n_colors in enumerate(SIZES, start=1):
            quantized, palette = quantize(photograph, n_colors)
            own = error(photograph, quantized)
            cut = error(photograph, median_cut(photograph, n_colors))
            print(f"     root mean square error {own:.1f} of 255, by median cut {cut:.1f}")
            pictures[place].imshow(quantized)
            pictures[place].set_title(f"{n_colors} colors, error {own:.1f} (median cut {cut:.1f})")
            palettes[place].imshow(palette[None], aspect="auto")
    figure.savefig(output, dpi=72)
    plt.close(figure)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    main(parser.parse_args().output)
